/**
 * Walks over the trail in bounded steps, so that no search keeps commits waiting. A step scans some thousand rows for
 * buckets that may have what is wanted, and reads those; whoever follows the trail by polling gets what this process added to last.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TrailChanges, TrailEvent, TrailFilter, TrailPage, TrailQuery } from '../trail.ts'
import { query, type Steps } from './sql.ts'
import { TRAIL_KEYS } from './tables.ts'
import { postsInTurns, type TrailRow } from './trail-posts.ts'
import type { TrailTail } from './trail-tail.ts'
import {
  accountMark,
  BUCKET_BATCHES,
  bucketOf,
  outcomeMark,
  packIds,
  sourceMark,
  type NewTrailRow,
} from './trail.ts'

/** A step's rows, so many: a few milliseconds. */
const STEP_ROWS = 2000
/** Rows that a step finds; whole buckets of them are read. */
const MOST_FOUND_ROWS = 64
/** Buckets that one step opens. */
const STEP_BUCKETS = 8
/** Some milliseconds' work. */
const BUILT_PER_TURN = 500
/**
 * Rows of replicas are in the order of ids that were taken some seconds apart, with clocks that may differ, and a row has its
 * newest post's arrival.
 */
const DISORDER_MS = 60_000
/** A search answers what it has by then. */
const LONGEST_SEARCH_MS = 2000
/** To those who follow the latest ones, to the end of a post. */
const MOST_FOLLOWED = 1000

export interface TrailStepRequest extends TrailFilter {
  /** Buckets up to this one, newest first. */
  readonly fromBucket: number
  /** Buckets that it may open. */
  readonly mostBuckets?: number
}

export interface TrailStep {
  /** Of whole buckets, newest bucket first, each bucket's in the order in which they were written. */
  readonly rows: readonly TrailRow[]
  /** Where the next step starts; undefined after the last. */
  readonly nextBucket: number | undefined
}

export interface FreshRows extends ReturnType<TrailTail['since']> {
  /** Of the buckets of these batches. */
  readonly rows: readonly TrailRow[]
}

type EndRow = Pick<NewTrailRow, 'bucket' | 'received_at_ms'>

/** Conditions: rows of this bucket and of newer ones, or of older ones. */
export const fromBucketOn = (bucket: string) => `seq >= ${bucket}::numeric * ${TRAIL_KEYS}`
export const upToBucket = (bucket: string) => `seq < (${bucket}::numeric + 1) * ${TRAIL_KEYS}`
const ROWS_OF_BUCKET = `SELECT bucket, entries FROM trail WHERE ${fromBucketOn('$1')} AND ${upToBucket('$1')} ORDER BY seq`

/** `open`: rows that are not written yet. */
export function* searchTrailStep(request: TrailStepRequest, open: readonly NewTrailRow[]): Steps<TrailStep> {
  const { fromBucket, sinceMs = 0, mostBuckets = STEP_BUCKETS } = request
  const hint = hintOf(request)
  const [lastScanned] = yield* query<EndRow>(
    `SELECT bucket, received_at_ms FROM trail WHERE ${upToBucket('$1')}
     ORDER BY seq DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
    [fromBucket],
  )
  const found = yield* query<EndRow>(
    `SELECT bucket, received_at_ms FROM trail WHERE ${fromBucketOn('$1')} AND ${upToBucket('$2')}
       AND ($3::bytea IS NULL OR position($3 IN ids) > 0)
     ORDER BY seq DESC LIMIT ${MOST_FOUND_ROWS}`,
    [lastScanned?.bucket ?? 0, fromBucket, hint ?? null],
  )
  /** The last row that was scanned; undefined when all were. */
  const end = found.length < MOST_FOUND_ROWS ? lastScanned : found.at(-1)
  const opened = open.filter(
    ({ bucket, ids }) =>
      bucket >= (end?.bucket ?? 0) &&
      bucket <= fromBucket &&
      (hint === undefined || Buffer.from(ids).includes(hint)),
  )
  const all = new Set([...found, ...opened].map(({ bucket }) => bucket))
  const buckets = [...all].sort((one, other) => other - one).slice(0, mostBuckets)
  const rows = yield* readBuckets(buckets, open)
  if (buckets.length === mostBuckets) return { rows, nextBucket: buckets.at(-1)! - 1 }
  const isPast = end === undefined || (end.received_at_ms > 0 && end.received_at_ms < sinceMs - DISORDER_MS)
  return { rows, nextBucket: isPast ? undefined : end.bucket - 1 }
}

export function* readFresh(
  tail: TrailTail,
  position: number | undefined,
  open: readonly NewTrailRow[],
): Steps<FreshRows> {
  const fresh = tail.since(position)
  const buckets = [...new Set(fresh.batchIds.map(bucketOf))]
  return { ...fresh, rows: yield* readBuckets(buckets, open) }
}

function* readBuckets(buckets: readonly number[], open: readonly NewTrailRow[]): Steps<TrailRow[]> {
  const rows: TrailRow[] = []
  for (const bucket of buckets) {
    const written = yield* query<TrailRow>(ROWS_OF_BUCKET, [bucket])
    rows.push(...written, ...open.filter((row) => row.bucket === bucket))
  }
  return rows
}

/** What is among the ids of a row of the bucket that has a wanted event; undefined: not known. */
function hintOf({ eventId, orderId, outcome, adAccountId, source }: TrailFilter): Buffer | undefined {
  // Nearly every row has these two. With an id the outcome may be in another row than the id.
  const isUsual = outcome === 'queued' || outcome === 'delivered'
  const id = eventId ?? orderId ?? (outcome && !isUsual ? outcomeMark(outcome) : undefined)
  const account = adAccountId && accountMark(adAccountId)
  const hint = id ?? (source === undefined ? account : sourceMark(source))
  return hint === undefined ? undefined : packIds([hint])
}

export async function searchTrail(
  wanted: TrailQuery,
  step: (request: TrailStepRequest) => Promise<TrailStep>,
): Promise<TrailPage> {
  const endMs = performance.now() + LONGEST_SEARCH_MS
  const { limit, cursor, ...filter } = wanted
  const found: TrailEvent[] = []
  let [bucket, last] = readCursor(cursor)
  let built = 0
  for (;;) {
    const { rows, nextBucket } = await step({ ...filter, fromBucket: bucket })
    for (const [own, posts] of await postsInTurns(rows)) {
      const from = own === bucket ? last : LAST
      for (const post of posts.toReversed()) {
        const first = firstOf(post.batchId)
        if (first > from) continue
        const events = post.events(filter)
        for (const event of events.toReversed()) {
          const at = first + event.place
          if (at > from || !isWanted(event, filter)) continue
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

/** The events of these batches, in their order. */
export async function showChanges({ batchIds, position, rows }: FreshRows): Promise<TrailChanges> {
  const found = [...(await postsInTurns(rows)).values()].flat()
  const posts = Map.groupBy(found, ({ batchId }) => batchId)
  const events: TrailEvent[][] = []
  let count = 0
  for (const post of batchIds.toReversed().flatMap((batchId) => posts.get(batchId) ?? [])) {
    if (count >= MOST_FOLLOWED) break
    const own = post.events({})
    count += own.length
    events.push(own)
  }
  return { position, events: events.toReversed().flat() }
}
