/** What a row of the event trail holds, as JSON in lists, compressed where that makes it smaller. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { looksPersonal } from '../../events/personal-ids.ts'
import type { HistoryEntry } from '../store.ts'
import type { Outcome, PostedEvent } from '../trail.ts'

/** Shorter rows do not compress. */
const COMPRESSED_FROM_BYTES = 512

type Packed<T> = T | 0
export type PackedHistory = readonly (readonly [atMs: number, reason: string])[]
/** The last three only where there is something to say. */
export type PackedEvent = readonly [
  eventName: Packed<string>,
  eventId: Packed<string>,
  orderId: Packed<string>,
  /** Seconds before its post. */
  ageS: number | null,
  outcome?: Packed<Outcome>,
  reason?: Packed<string>,
  warnings?: readonly string[],
]
export type PackedPost = readonly [
  place: number,
  adAccountId: string,
  isTest: 0 | 1,
  keyId: Packed<string>,
  source: Packed<string>,
  receivedAtMs: number,
  /** After it was received. */
  committedMs: number,
  events: readonly PackedEvent[],
]
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
  readonly posts: readonly PackedPost[]
  readonly outcomes: readonly (PackedWhole | PackedOutcome)[]
}

export function packEvent(event: PostedEvent, outcome: Outcome, receivedAtMs: number): PackedEvent {
  const { eventName, eventId, orderId, eventTimeS, reason = 0, warnings } = event
  const ageS = eventTimeS === undefined ? null : Math.floor(receivedAtMs / 1000) - eventTimeS
  // Senders may name events as they like.
  const name = eventName === undefined || looksPersonal(eventName) ? 0 : eventName
  const known = [name, eventId ?? 0, orderId ?? 0, ageS] as const
  if (outcome === 'queued' && warnings.length === 0 && reason === 0) return known
  return [...known, outcome === 'queued' ? 0 : outcome, reason, warnings]
}

export function packHistory(history: readonly HistoryEntry[]): PackedHistory {
  return history.map(({ atMs, reason }) => [atMs, reason] as const)
}

/** A row is small: with zstd's own window and tables most of the time is spent on their memory. */
const ZSTD = {
  params: {
    [constants.ZSTD_c_compressionLevel]: 1,
    [constants.ZSTD_c_windowLog]: 14,
    [constants.ZSTD_c_hashLog]: 12,
  },
  chunkSize: 4096,
}

export function packEntries({ posts, outcomes }: Entries): Uint8Array {
  const bytes = Buffer.from(JSON.stringify([posts, outcomes]))
  return bytes.byteLength < COMPRESSED_FROM_BYTES ? bytes : zstdCompressSync(bytes, ZSTD)
}

const OPENING_BRACKET = 0x5b

/** Undefined for a row that is damaged: the others can still be read. */
export function unpackEntries(bytes: Uint8Array): Entries | undefined {
  try {
    const text = bytes[0] === OPENING_BRACKET ? bytes : zstdDecompressSync(bytes)
    const [posts, outcomes] = JSON.parse(Buffer.from(text).toString()) as [
      Entries['posts'],
      Entries['outcomes'],
    ]
    return { posts, outcomes }
  } catch {
    return undefined
  }
}
