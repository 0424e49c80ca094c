/**
 * Puts the rows of buckets together to events, and walks over the trail in bounded steps, so that no search keeps commits
 * waiting. A step looks at some thousand rows for buckets that may have what is wanted, and opens those.
 */
import type { HistoryEntry } from '../store.ts'
import type { Outcome, TrailEvent, TrailFilter, TrailPage, TrailQuery } from '../trail.ts'
import {
  unpackEntries,
  type PackedHistory,
  type PackedOutcome,
  type PackedPost,
  type PackedWhole,
} from './trail-entries.ts'
import { BUCKET_BATCHES, idsOf, markOf } from './trail.ts'

export interface TrailRow {
  readonly bucket: number
  readonly entries: Uint8Array
}

/** A step's rows, so many: a few milliseconds. */
export const TRAIL_STEP_ROWS = 2000
/** Buckets that one step opens. */
export const TRAIL_STEP_BUCKETS = 8
/** A search answers what it has by then. */
const LONGEST_SEARCH_MS = 2000

/** What a row must have that the bucket of a wanted event has. */
export interface TrailHint {
  readonly ids: Uint8Array | undefined
  readonly marks: number | undefined
}

export function hintOf({ eventId, orderId, outcome }: TrailFilter): TrailHint {
  const id = eventId ?? orderId
  return {
    ids: id === undefined ? undefined : idsOf([id]),
    // With an id the outcome may be in another row than the id.
    marks: id !== undefined || outcome === undefined ? undefined : markOf(outcome),
  }
}

export interface TrailStepRequest extends TrailHint {
  /** Buckets up to this one, newest first. */
  readonly fromBucket: number
  readonly sinceMs: number
}

export interface TrailStep {
  /** Of whole buckets, newest bucket first, each bucket's in the order in which they were written. */
  readonly rows: readonly TrailRow[]
  /** Where the next step starts; undefined after the last. */
  readonly nextBucket: number | undefined
}

/** `end`: the last row that the step looked at; undefined when it looked at all. */
export function toTrailStep(
  buckets: readonly number[],
  rows: readonly TrailRow[],
  end: { readonly bucket: number; readonly received_at_ms: number } | undefined,
  sinceMs: number,
): TrailStep {
  if (buckets.length === TRAIL_STEP_BUCKETS) return { rows, nextBucket: Math.min(...buckets) - 1 }
  const isPast = end === undefined || (end.received_at_ms > 0 && end.received_at_ms < sinceMs)
  return { rows, nextBucket: isPast ? undefined : end.bucket - 1 }
}

/** Of the oldest rows: as many as are too old, or are over the trail's part. */
export function countToTrim(
  oldest: readonly { readonly received_at_ms: number; readonly bytes: number }[],
  receivedBeforeMs: number,
  overBytes: number,
): number {
  let leftOver = overBytes
  const end = oldest.findIndex(({ received_at_ms: atMs, bytes }) => {
    if (atMs >= receivedBeforeMs && leftOver <= 0) return true
    leftOver -= bytes
    return false
  })
  return end < 0 ? oldest.length : end
}

export async function searchTrail(
  query: TrailQuery,
  step: (request: TrailStepRequest) => Promise<TrailStep>,
): Promise<TrailPage> {
  const endMs = performance.now() + LONGEST_SEARCH_MS
  const { limit, sinceMs = 0 } = query
  const found: TrailEvent[] = []
  let [bucket, last] = readCursor(query.cursor)
  for (;;) {
    const { rows, nextBucket } = await step({ ...hintOf(query), fromBucket: bucket, sinceMs })
    for (const [own, events] of eventsByBucket(rows)) {
      const from = own === bucket ? Math.min(last, events.length - 1) : events.length - 1
      for (let index = from; index >= 0; index--) {
        const event = events[index]!
        if (!isWanted(event, query)) continue
        if (found.length === limit) return { events: found, cursor: `${own}.${index}` }
        found.push(event)
      }
    }
    if (nextBucket === undefined) return { events: found, cursor: undefined }
    bucket = nextBucket
    last = LAST
    if (performance.now() > endMs) return { events: found, cursor: `${bucket}.${last}` }
  }
}

const LAST = 999_999_999

/** A bucket, and an event of it, counted from the oldest: events that are added later move nothing. */
function readCursor(cursor: string | undefined): readonly [bucket: number, last: number] {
  const [, bucket, last] = CURSOR.exec(cursor ?? '') ?? []
  return bucket === undefined ? [Number.MAX_SAFE_INTEGER, LAST] : [Number(bucket), Number(last)]
}

/** A bucket's number has 14 digits in SQLite. */
const CURSOR = /^(\d{1,15})\.(\d{1,9})$/

export function isCursor(cursor: string): boolean {
  return CURSOR.test(cursor)
}

export function isWanted(event: TrailEvent, filter: TrailFilter): boolean {
  const { sinceMs = -Infinity, untilMs = Infinity } = filter
  return (
    (['eventId', 'orderId', 'adAccountId', 'isTest', 'eventName', 'outcome', 'source'] as const).every(
      (name) => filter[name] === undefined || event[name] === filter[name],
    ) &&
    event.receivedAtMs >= sinceMs &&
    event.receivedAtMs < untilMs
  )
}

/** An event, and where its batch has it: undefined for what was never stored. */
export interface PlacedEvent extends TrailEvent {
  readonly batchId: number
  readonly index: number | undefined
}

/** Each bucket's oldest first. */
export function eventsByBucket(rows: readonly TrailRow[]): Map<number, PlacedEvent[]> {
  const byBucket = new Map<number, TrailRow[]>()
  for (const row of rows) byBucket.set(row.bucket, [...(byBucket.get(row.bucket) ?? []), row])
  return new Map([...byBucket].map(([bucket, own]) => [bucket, eventsOf(bucket, own)]))
}

interface Known {
  readonly outcome: Outcome
  readonly reason: string | undefined
  readonly attempts: number
  readonly atMs: number
  readonly callId: string | undefined
  readonly history: readonly HistoryEntry[]
}

/** Oldest first. */
function eventsOf(bucket: number, rows: readonly TrailRow[]): PlacedEvent[] {
  const read = rows.flatMap(({ entries }) => unpackEntries(entries) ?? [])
  const outcomes = new Map<number, (PackedWhole | PackedOutcome)[]>()
  for (const one of read.flatMap((entries) => entries.outcomes)) {
    const [, , , places] = one
    for (const place of typeof places === 'number' ? [places] : places) {
      outcomes.set(place, [...(outcomes.get(place) ?? []), one])
    }
  }
  return read.flatMap(({ committedAtMs, posts }) =>
    posts.flatMap((post) => eventsOfPost(bucket, post, committedAtMs, outcomes.get(post[0]) ?? [])),
  )
}

function eventsOfPost(
  bucket: number,
  [place, adAccountId, isTest, keyId, source, receivedAtMs, events]: PackedPost,
  committedAtMs: number,
  outcomes: readonly (PackedWhole | PackedOutcome)[],
): PlacedEvent[] {
  let stored = 0
  return events.map(([eventName, eventId, orderId, ageS, status, reason, warnings = []]) => {
    const isStored = !status
    const index = isStored ? stored++ : undefined
    const known: Known = {
      outcome: status || 'queued',
      reason: reason || undefined,
      attempts: 0,
      atMs: receivedAtMs,
      callId: undefined,
      history: [
        { atMs: receivedAtMs, reason: reason && isStored ? reason : 'received' },
        { atMs: committedAtMs, reason: 'committed' },
      ],
    }
    const last = index === undefined ? known : outcomes.reduce((so, one) => follow(so, one, index), known)
    return {
      batchId: bucket * BUCKET_BATCHES + place,
      index,
      adAccountId,
      isTest: isTest === 1,
      eventName: eventName || undefined,
      eventId: eventId || undefined,
      orderId: orderId || undefined,
      eventTimeS: ageS === null ? undefined : Math.floor(receivedAtMs / 1000) - ageS,
      outcome: last.outcome,
      reason: last.reason,
      warnings,
      attempts: last.attempts,
      receivedAtMs,
      updatedAtMs: last.atMs,
      source: source || undefined,
      keyId: keyId || undefined,
      callId: last.callId,
      history: last.history,
    }
  })
}

/** The first outcome counts, but what is erased is erased. */
function follow(known: Known, one: PackedWhole | PackedOutcome, index: number): Known {
  const [atMs, callId, startedAtMs] = one
  const found = outcomeOf(one, index)
  if (found === undefined || (known.outcome !== 'queued' && found.outcome !== 'erased')) return known
  const called = callId === 0 ? [] : [{ atMs: startedAtMs, reason: 'called' }]
  const failures = found.history.map(([failedAtMs, reason]) => ({ atMs: failedAtMs, reason }))
  // A dead letter's history ends with what it died of.
  const ends = failures.at(-1)?.atMs === atMs ? failures.slice(0, -1) : failures
  return {
    outcome: found.outcome,
    reason: found.reason,
    attempts: found.outcome === 'erased' ? known.attempts : found.attempts,
    atMs,
    callId: callId || known.callId,
    history: [...known.history, ...ends, ...called, { atMs, reason: found.outcome }],
  }
}

interface FoundOutcome {
  readonly outcome: Outcome
  readonly reason: string | undefined
  readonly attempts: number
  readonly history: PackedHistory
}

function outcomeOf(one: PackedWhole | PackedOutcome, index: number): FoundOutcome | undefined {
  const delivered = { outcome: 'delivered', reason: undefined, attempts: 1, history: [] } as const
  if (!isPartial(one)) return delivered
  const [, , , , failures, positions, dead] = one
  const died = dead.find(([position]) => position === index)
  if (died !== undefined) {
    const [, outcome, reason, diedAfter, ownHistory] = died
    return { outcome, reason, attempts: diedAfter, history: ownHistory }
  }
  if (positions !== 0 && !positions.includes(index)) return undefined
  return {
    ...delivered,
    attempts: 1 + failures.filter(([, reason]) => reason !== 'replayed').length,
    history: failures,
  }
}

function isPartial(one: PackedWhole | PackedOutcome): one is PackedOutcome {
  return one.length > 4
}
