/** The rows of the event trail (trail.ts): written at the end of a transaction, searched in bounded steps. */
import { query, type Steps } from './sql.ts'
import { TRAIL_KEYS } from './tables.ts'
import {
  toTrailStep,
  TRAIL_STEP_BUCKETS,
  TRAIL_STEP_ROWS,
  type TrailRow,
  type TrailStep,
  type TrailStepRequest,
} from './trail-search.ts'
import type { FreshRows, TrailTail } from './trail-tail.ts'
import { bucketOf, bytesOfTrailRow, TRAIL_QUEUE, type NewTrailRow } from './trail.ts'
import type { Transaction } from './transaction.ts'

type EndRow = { readonly bucket: number; readonly received_at_ms: number }

/** Rows that a step finds; whole buckets of them are read. */
const MOST_FOUND_ROWS = 64
/** Conditions: rows of this bucket and of newer ones, or of older ones. */
export const fromBucketOn = (bucket: string) => `seq >= ${bucket}::numeric * ${TRAIL_KEYS}`
export const upToBucket = (bucket: string) => `seq < (${bucket}::numeric + 1) * ${TRAIL_KEYS}`
const ROWS_OF_BUCKET = `SELECT bucket, entries FROM trail WHERE ${fromBucketOn('$1')} AND ${upToBucket('$1')} ORDER BY seq`

export function* writeTrail(
  { totals, insertTrail }: Pick<Transaction, 'totals' | 'insertTrail'>,
  rows: readonly NewTrailRow[],
): Steps<void> {
  yield* insertTrail(rows)
  for (const row of rows) totals.count(TRAIL_QUEUE, { trail_bytes: bytesOfTrailRow(row) })
}

/** Scans some thousand rows for buckets that may have what is wanted, and reads those. `open`: rows that are not written yet. */
export function* searchTrailStep(request: TrailStepRequest, open: readonly NewTrailRow[]): Steps<TrailStep> {
  const { fromBucket, ids, mostBuckets = TRAIL_STEP_BUCKETS } = request
  const [lastScanned] = yield* query<EndRow>(
    `SELECT bucket, received_at_ms FROM trail WHERE ${upToBucket('$1')}
     ORDER BY seq DESC LIMIT 1 OFFSET ${TRAIL_STEP_ROWS - 1}`,
    [fromBucket],
  )
  const found = yield* query<EndRow>(
    `SELECT bucket, received_at_ms FROM trail WHERE ${fromBucketOn('$1')} AND ${upToBucket('$2')}
       AND ($3::bytea IS NULL OR position($3 IN ids) > 0)
     ORDER BY seq DESC LIMIT ${MOST_FOUND_ROWS}`,
    [lastScanned?.bucket ?? 0, fromBucket, ids ?? null],
  )
  const end = found.length < MOST_FOUND_ROWS ? lastScanned : found.at(-1)
  const bottom = end?.bucket ?? 0
  const mayHave = (row: NewTrailRow) => ids === undefined || Buffer.from(row.ids).includes(Buffer.from(ids))
  const opened = open.filter((row) => row.bucket >= bottom && row.bucket <= fromBucket && mayHave(row))
  const all = new Set([...found, ...opened].map(({ bucket }) => bucket))
  const buckets = [...all].sort((one, other) => other - one).slice(0, mostBuckets)
  const rows = yield* readBuckets(buckets, open)
  return toTrailStep(buckets, rows, end, request)
}

export function* readFresh(
  tail: TrailTail,
  position: number | undefined,
  open: readonly NewTrailRow[],
): Steps<FreshRows> {
  const fresh = tail.since(position)
  return { ...fresh, rows: yield* readBuckets([...new Set(fresh.batchIds.map(bucketOf))], open) }
}

function* readBuckets(buckets: readonly number[], open: readonly NewTrailRow[]): Steps<TrailRow[]> {
  const rows: TrailRow[] = []
  for (const bucket of buckets.toSorted((one, other) => other - one)) {
    const written = yield* query<TrailRow>(ROWS_OF_BUCKET, [bucket])
    rows.push(...written, ...open.filter((row) => row.bucket === bucket))
  }
  return rows
}
