/**
 * Walks over the trail in bounded steps, so that no search keeps commits waiting. A step scans some thousand rows for
 * buckets that may have what is wanted, and opens those.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TrailEvent, TrailFilter, TrailPage, TrailQuery } from '../trail.ts'
import { postsInTurns } from './trail-posts.ts'
import { accountMark, BUCKET_BATCHES, outcomeMark, packIds, sourceMark } from './trail.ts'

export interface TrailRow {
  readonly bucket: number
  readonly entries: Uint8Array
}

/** A step's rows, so many: a few milliseconds. */
export const TRAIL_STEP_ROWS = 2000
/** Buckets that one step opens. */
export const TRAIL_STEP_BUCKETS = 8
/** Some milliseconds' work. */
const BUILT_PER_TURN = 500
/**
 * Rows of replicas are in the order of ids that were taken some seconds apart, with clocks that may differ, and a row has its
 * newest post's arrival.
 */
const DISORDER_MS = 60_000
/** A search answers what it has by then. */
const LONGEST_SEARCH_MS = 2000

/** What is among the ids of a row of the bucket that has a wanted event; undefined: not known. */
export function hintOf({
  eventId,
  orderId,
  outcome,
  adAccountId,
  source,
}: TrailFilter): Uint8Array | undefined {
  // Nearly every row has these two. With an id the outcome may be in another row than the id.
  const isUsual = outcome === 'queued' || outcome === 'delivered'
  const id = eventId ?? orderId ?? (outcome && !isUsual ? outcomeMark(outcome) : undefined)
  const account = adAccountId && accountMark(adAccountId)
  const hint = id ?? (source === undefined ? account : sourceMark(source))
  return hint === undefined ? undefined : packIds([hint])
}

export interface TrailStepRequest {
  /** See `hintOf`. */
  readonly ids: Uint8Array | undefined
  /** Buckets up to this one, newest first. */
  readonly fromBucket: number
  readonly sinceMs: number
  /** Buckets that it may open; TRAIL_STEP_BUCKETS unless they are read in a transaction. */
  readonly mostBuckets?: number
}

export interface TrailStep {
  /** Of whole buckets, newest bucket first, each bucket's in the order in which they were written. */
  readonly rows: readonly TrailRow[]
  /** Where the next step starts; undefined after the last. */
  readonly nextBucket: number | undefined
}

/** `end`: the last row that the step scanned; undefined when it scanned all. */
export function toTrailStep(
  buckets: readonly number[],
  rows: readonly TrailRow[],
  end: { readonly bucket: number; readonly received_at_ms: number } | undefined,
  { sinceMs, mostBuckets = TRAIL_STEP_BUCKETS }: Pick<TrailStepRequest, 'sinceMs' | 'mostBuckets'>,
): TrailStep {
  if (buckets.length === mostBuckets) return { rows, nextBucket: Math.min(...buckets) - 1 }
  const isPast = end === undefined || (end.received_at_ms > 0 && end.received_at_ms < sinceMs - DISORDER_MS)
  return { rows, nextBucket: isPast ? undefined : end.bucket - 1 }
}

export async function searchTrail(
  query: TrailQuery,
  step: (request: TrailStepRequest) => Promise<TrailStep>,
): Promise<TrailPage> {
  const endMs = performance.now() + LONGEST_SEARCH_MS
  const { limit, sinceMs = 0 } = query
  const found: TrailEvent[] = []
  let [bucket, last] = readCursor(query.cursor)
  let built = 0
  for (;;) {
    const { rows, nextBucket } = await step({ ids: hintOf(query), fromBucket: bucket, sinceMs })
    for (const [own, posts] of await postsInTurns(rows)) {
      const from = own === bucket ? last : LAST
      for (const post of posts.toReversed()) {
        const first = firstOf(post.batchId)
        if (first > from) continue
        const events = post.events(query)
        for (const event of events.toReversed()) {
          const at = first + event.place
          if (at > from || !isWanted(event, query)) continue
          if (found.length === limit) return { events: found, cursor: `${own}.${at}` }
          found.push(event)
        }
        if (performance.now() > endMs) {
          return { events: found, cursor: first > 0 ? `${own}.${first - 1}` : cursorFrom(own - 1) }
        }
        // Commits pass in between.
        if ((built += events.length) >= BUILT_PER_TURN) {
          built = 0
          await nextTurn()
        }
      }
    }
    if (nextBucket === undefined) return { events: found, cursor: undefined }
    // Also where nothing was opened: a walk over a long trail ends, too.
    if (performance.now() > endMs) return { events: found, cursor: cursorFrom(nextBucket) }
    bucket = nextBucket
    last = LAST
  }
}

const LAST = 999_999_999

/** At a bucket's latest event; undefined before the first bucket. */
function cursorFrom(bucket: number): string | undefined {
  return bucket < 0 ? undefined : `${bucket}.${LAST}`
}

/** Room for the events of a post, or of a replay. */
const POST_PLACES = 1_000_000

/** Where a batch's events begin in its bucket: by its id, since replicas may add posts before those that were read already. */
function firstOf(batchId: number): number {
  return (batchId % BUCKET_BATCHES) * POST_PLACES
}

/** A bucket, and an event of it: events that are added later move nothing. */
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
