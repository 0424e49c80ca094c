/** Puts the rows of buckets together to posts, and their events when they are asked for. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { HistoryEntry } from '../store.ts'
import type { TrailEvent, TrailFilter } from '../trail.ts'
import { fromPairs } from './rows.ts'
import {
  EVENT_SIZE,
  unpackEntries,
  type Entries,
  type PackedOutcome,
  type PackedPost,
} from './trail-entries.ts'
import { BUCKET_BATCHES, type NewTrailRow } from './trail.ts'

export type TrailRow = Pick<NewTrailRow, 'bucket' | 'entries'>

/** An event, its place in its post, and where its batch has it: undefined for what was never stored. */
export interface PlacedEvent extends TrailEvent {
  readonly batchId: number
  readonly place: number
  readonly index: number | undefined
}

/** Its events are put together when they are asked for. */
export interface FoundPost {
  readonly batchId: number
  /** Those that these ids do not rule out. */
  events(ids: Pick<TrailFilter, 'eventId' | 'orderId'>): PlacedEvent[]
}

/** By their buckets. Commits pass in between: a row takes some milliseconds. */
export async function postsInTurns(rows: readonly TrailRow[]): Promise<Map<number, FoundPost[]>> {
  const byBucket = new Map<number, FoundPost[]>()
  for (const [bucket, own] of Map.groupBy(rows, (row) => row.bucket)) {
    const read: Entries[] = []
    for (const { entries } of own) {
      read.push(...unpackEntries(entries))
      await nextTurn()
    }
    byBucket.set(bucket, postsOf(bucket, read))
  }
  return byBucket
}

/** Of rows of one bucket, at once. */
export function postsOfBucket(rows: readonly TrailRow[]): FoundPost[] {
  const read = rows.flatMap(({ entries }) => unpackEntries(entries))
  return rows.length === 0 ? [] : postsOf(rows[0]!.bucket, read)
}

/** By their ids, oldest first: of several replicas the rows have another order. */
function postsOf(bucket: number, read: readonly Entries[]): FoundPost[] {
  const outcomes = new Map<number, PackedOutcome[]>()
  for (const one of read.flatMap((entries) => entries.outcomes)) {
    for (const place of one[3]) outcomes.set(place, [...(outcomes.get(place) ?? []), one])
  }
  const posts = read.flatMap((row) =>
    row.posts.map((post): FoundPost => {
      const [place] = post
      return {
        batchId: bucket * BUCKET_BATCHES + place,
        events: (ids) => eventsOfPost(bucket, row, post, outcomes.get(place) ?? [], ids),
      }
    }),
  )
  return posts.sort((one, other) => one.batchId - other.batchId)
}

function eventsOfPost(
  bucket: number,
  { begunAtMs, senders, eventNames }: Entries,
  [place, sender, receivedMs, committedMs, events, notes = []]: PackedPost,
  outcomes: readonly PackedOutcome[],
  ids: Pick<TrailFilter, 'eventId' | 'orderId'>,
): PlacedEvent[] {
  const [adAccountId, isTest, keyId, source] = senders[sender]!
  const receivedAtMs = begunAtMs + receivedMs
  const noteOf = new Map(notes.map((note) => [note[0], note]))
  const found: PlacedEvent[] = []
  let stored = 0
  for (let first = 0; first < events.length; first += EVENT_SIZE) {
    const at = first / EVENT_SIZE
    const [, status, reason, warnings = []] = noteOf.get(at) ?? []
    const isStored = !status
    const index = isStored ? stored++ : undefined
    const [eventId, orderId, ageS] = [events[first + 1], events[first + 2], events[first + 3]]
    if ((ids.eventId ?? eventId) !== eventId || (ids.orderId ?? orderId) !== orderId) continue
    const event: PlacedEvent = {
      batchId: bucket * BUCKET_BATCHES + place,
      place: at,
      index,
      adAccountId,
      isTest: isTest === 1,
      eventName: eventNames[events[first] as number],
      eventId: textOr(eventId),
      orderId: textOr(orderId),
      eventTimeS: typeof ageS === 'number' ? Math.floor(receivedAtMs / 1000) - ageS : undefined,
      outcome: status || 'queued',
      reason: reason || undefined,
      warnings,
      attempts: 0,
      receivedAtMs,
      updatedAtMs: receivedAtMs,
      source: source || undefined,
      keyId: keyId || undefined,
      callId: undefined,
      history: [
        { atMs: receivedAtMs, reason: reason && isStored ? reason : 'received' },
        { atMs: receivedAtMs + committedMs, reason: 'committed' },
      ],
    }
    found.push(outcomes.reduce(follow, event))
  }
  return found
}

function textOr(packed: string | number | null | undefined): string | undefined {
  return typeof packed === 'string' ? packed : undefined
}

/** The first outcome counts, but what is erased is erased. */
function follow(event: PlacedEvent, one: PackedOutcome): PlacedEvent {
  const [atMs, callId, startedAtMs] = one
  const found = outcomeOf(one, event.index)
  if (found === undefined || (event.outcome !== 'queued' && found.outcome !== 'erased')) return event
  const called = callId === 0 ? [] : [{ atMs: startedAtMs, reason: 'called' }]
  const failures = fromPairs(found.history)
  // A dead letter's history ends with its reason.
  const ends = failures.at(-1)?.atMs === atMs ? failures.slice(0, -1) : failures
  return {
    ...event,
    outcome: found.outcome,
    // Of what an operator erased the outcome says all.
    reason: found.outcome === 'erased' ? undefined : found.reason,
    attempts: found.outcome === 'erased' ? event.attempts : found.attempts,
    updatedAtMs: atMs,
    callId: callId || event.callId,
    history: [...inOrder(event.history, ends), ...called, { atMs, reason: found.outcome }],
  }
}

/** A replayed event keeps the history of its dead letter, the replay included. */
function inOrder(known: readonly HistoryEntry[], more: readonly HistoryEntry[]): HistoryEntry[] {
  const isKnown = (one: HistoryEntry) =>
    known.some(({ atMs, reason }) => atMs === one.atMs && reason === one.reason)
  return [...known, ...more.filter((one) => !isKnown(one))].toSorted((a, b) => a.atMs - b.atMs)
}

function outcomeOf(one: PackedOutcome, index: number | undefined) {
  if (index === undefined) return undefined
  const [, , , , failures = [], positions = 0, dead = []] = one
  const died = dead.find(([position]) => position === index)
  if (died !== undefined) {
    const [, outcome, reason, diedAfter, ownHistory] = died
    return { outcome, reason, attempts: diedAfter, history: ownHistory }
  }
  if (positions !== 0 && !positions.includes(index)) return undefined
  return {
    outcome: 'delivered' as const,
    reason: undefined,
    attempts: 1 + failures.filter(([, reason]) => reason !== 'replayed').length,
    history: failures,
  }
}
