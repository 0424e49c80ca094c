/**
 * What a row of the event trail holds, as JSON in lists. Each word that many of its events share is there once. Not compressed:
 * that would halve a row of random ids, but a compressor takes longer to set up than all the rest of a small row takes.
 */
import { looksPersonal } from '../../events/personal-ids.ts'
import type { HistoryEntry } from '../store.ts'
import type { Outcome, PostedEvent } from '../trail.ts'

export type Packed<T> = T | 0
export type PackedHistory = readonly (readonly [atMs: number, reason: string])[]
export type PackedSender = readonly [
  adAccountId: string,
  isTest: 0 | 1,
  keyId: Packed<string>,
  source: Packed<string>,
]
/** Of the events that have more to say than that they are queued. */
export type PackedNote = readonly [
  at: number,
  outcome: Packed<Outcome>,
  reason: Packed<string>,
  warnings: readonly string[],
]
export type PackedPost = readonly [
  place: number,
  /** Its place among the row's. */
  sender: number,
  receivedAtMs: number,
  /** After it was received. */
  committedMs: number,
  /** `EVENT_SIZE` of each: the place of its name, its id, its order's, and the seconds that it is older than its post. */
  events: Packed<string | number | null>[],
  notes: PackedNote[],
]
export const EVENT_SIZE = 4
const NO_NAME = -1

export type PackedDead = readonly [
  index: number,
  status: Outcome,
  reason: string,
  attempts: number,
  history: PackedHistory,
]
/** A call's batches that were delivered whole: nearly all. */
export type PackedWhole = readonly [
  atMs: number,
  callId: Packed<string>,
  startedAtMs: number,
  places: number[],
]
export type PackedOutcome = readonly [
  atMs: number,
  callId: Packed<string>,
  startedAtMs: number,
  place: number,
  failures: PackedHistory,
  delivered: readonly number[] | 0,
  dead: readonly PackedDead[],
]
export interface Entries {
  readonly senders: PackedSender[]
  readonly eventNames: string[]
  readonly posts: PackedPost[]
  readonly outcomes: (PackedWhole | PackedOutcome)[]
}

export const emptyEntries = (): Entries => ({ senders: [], eventNames: [], posts: [], outcomes: [] })

export function addSender({ senders }: Entries, [account, isTest, keyId, source]: PackedSender): number {
  const known = senders.findIndex(
    (one) => one[0] === account && one[1] === isTest && one[2] === keyId && one[3] === source,
  )
  return known >= 0 ? known : senders.push([account, isTest, keyId, source]) - 1
}

export function addEvent(
  { eventNames }: Entries,
  [, , receivedAtMs, , events, notes]: PackedPost,
  event: PostedEvent,
  outcome: Outcome,
): void {
  const { eventName, trailIds, eventTimeS, reason = 0, warnings } = event
  const ageS = eventTimeS === undefined ? null : Math.floor(receivedAtMs / 1000) - eventTimeS
  const isPlain = outcome === 'queued' && warnings.length === 0 && reason === 0
  if (!isPlain) {
    const codes = new Set(warnings.map(({ code }) => code))
    notes.push([events.length / EVENT_SIZE, outcome === 'queued' ? 0 : outcome, reason, [...codes]])
  }
  events.push(addName(eventNames, eventName), trailIds.eventId ?? 0, trailIds.orderId ?? 0, ageS)
}

function addName(eventNames: string[], name: string | undefined): number {
  if (name === undefined) return NO_NAME
  const known = eventNames.indexOf(name)
  if (known >= 0) return known
  // Senders may name events as they like.
  return looksPersonal(name) ? NO_NAME : eventNames.push(name) - 1
}

export function packHistory(history: readonly HistoryEntry[]): PackedHistory {
  return history.map(({ atMs, reason }) => [atMs, reason] as const)
}

export function packEntries({ senders, eventNames, posts, outcomes }: Entries): Uint8Array {
  return Buffer.from(JSON.stringify([senders, eventNames, posts, outcomes]))
}

/** Undefined for a row that is damaged: the others can still be read. */
export function unpackEntries(bytes: Uint8Array): Entries | undefined {
  try {
    const [senders, eventNames, posts, outcomes] = JSON.parse(Buffer.from(bytes).toString()) as [
      Entries['senders'],
      Entries['eventNames'],
      Entries['posts'],
      Entries['outcomes'],
    ]
    return { senders, eventNames, posts, outcomes }
  } catch {
    return undefined
  }
}
