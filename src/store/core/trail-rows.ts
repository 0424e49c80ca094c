/** The rows of the event trail (trail.ts): written at the end of a transaction, searched in bounded steps, trimmed. */
import type { TrimTrailRequest } from '../trail.ts'
import { insert, query, type Steps } from './sql.ts'
import { readBytes } from './totals.ts'
import {
  toTrailStep,
  TRAIL_STEP_BUCKETS,
  TRAIL_STEP_ROWS,
  type TrailHint,
  type TrailRow,
  type TrailStep,
  type TrailStepRequest,
} from './trail-search.ts'
import type { FreshRows, TrailTail } from './trail-tail.ts'
import { bucketOf, bytesOfTrailRow, TRAIL_QUEUE, TRAIL_ROW_BYTES, type NewTrailRow } from './trail.ts'
import type { Transaction } from './transaction.ts'

export function* writeTrail({ trail, totals }: Pick<Transaction, 'trail' | 'totals'>): Steps<void> {
  const rows = trail.rows()
  yield* insert('trail', rows)
  for (const row of rows) totals.count(TRAIL_QUEUE, { trail_bytes: bytesOfTrailRow(row) })
}

/** Scans some thousand rows for buckets that may have what is wanted, and reads those. `open`: rows that are not written yet. */
export function* searchTrailStep(request: TrailStepRequest, open: readonly NewTrailRow[]): Steps<TrailStep> {
  const { fromBucket, marks, ids, mostBuckets = TRAIL_STEP_BUCKETS } = request
  const [end] = yield* query<{ bucket: number; received_at_ms: number }>(
    `SELECT bucket, received_at_ms FROM trail WHERE bucket <= $1
     ORDER BY bucket DESC, seq DESC LIMIT 1 OFFSET ${TRAIL_STEP_ROWS - 1}`,
    [fromBucket],
  )
  const bottom = end?.bucket ?? 0
  const found = yield* query<{ bucket: number }>(
    `SELECT DISTINCT bucket FROM trail WHERE bucket >= $1 AND bucket <= $2
       AND ($3::integer IS NULL OR marks & $3 <> 0) AND ($4::bytea IS NULL OR position($4 IN ids) > 0)
     ORDER BY bucket DESC LIMIT $5`,
    [bottom, fromBucket, marks ?? null, ids ?? null, mostBuckets],
  )
  const opened = open.filter(
    (row) => row.bucket >= bottom && row.bucket <= fromBucket && mayHave(row, request),
  )
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
  if (buckets.length === 0) return []
  const written = yield* query<TrailRow>(
    'SELECT bucket, entries FROM trail WHERE bucket = ANY($1) ORDER BY bucket DESC, seq',
    [buckets],
  )
  const added = open.filter((row) => buckets.includes(row.bucket))
  return [...written, ...added].sort((one, other) => other.bucket - one.bucket)
}

function mayHave(row: NewTrailRow, { marks, ids }: TrailHint): boolean {
  return (
    (marks === undefined || (row.marks & marks) > 0) &&
    (ids === undefined || Buffer.from(row.ids).includes(Buffer.from(ids)))
  )
}

/** Any number that nobody else locks: "trail" in ASCII. */
const TRIM_LOCK = 0x747261696c

/** The oldest rows: what is too old, and what is over the trail's part. */
export function* trimTrail(tx: Transaction, { receivedBeforeMs, limit }: TrimTrailRequest): Steps<number> {
  const { totals } = tx
  if (!(yield* tx.tryLock(TRIM_LOCK))) return 0
  yield* tx.closeTrail()
  const bytes = `(octet_length(ids) + octet_length(entries) + ${TRAIL_ROW_BYTES})`
  const oldest = yield* query<{ bucket: number; seq: number; received_at_ms: number; bytes: number }>(
    `SELECT bucket, seq, received_at_ms, ${bytes} AS bytes FROM trail ORDER BY bucket, seq LIMIT $1`,
    [limit],
  )
  let overBytes = (yield* readBytes()).trailBytes + totals.sum('trail_bytes') - tx.limits.trailBytes
  const kept = oldest.findIndex((row) => {
    if (row.received_at_ms >= receivedBeforeMs && overBytes <= 0) return true
    overBytes -= row.bytes
    return false
  })
  const last = kept < 0 ? oldest.at(-1) : oldest[kept - 1]
  if (last === undefined) return 0
  const gone = yield* query<{ bytes: number }>(
    `DELETE FROM trail WHERE (bucket, seq) <= ($1, $2) RETURNING ${bytes} AS bytes`,
    [last.bucket, last.seq],
  )
  totals.count(TRAIL_QUEUE, { trail_bytes: -gone.reduce((sum, row) => sum + row.bytes, 0) })
  return gone.length
}
