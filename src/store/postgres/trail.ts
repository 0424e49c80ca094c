/** The rows of the event trail (core/trail.ts): written at the end of a transaction, searched beside, trimmed by one replica. */
import { bytesOfTrailRow, TRAIL_PART, TRAIL_QUEUE, TRAIL_ROW_BYTES, type TrailWriter } from '../core/trail.ts'
import type { TrailTail } from '../core/trail-tail.ts'
import {
  countToTrim,
  toTrailStep,
  TRAIL_STEP_BUCKETS,
  TRAIL_STEP_ROWS,
  type TrailRow,
  type TrailStep,
  type TrailStepRequest,
} from '../core/trail-search.ts'
import type { TrimTrailRequest } from '../trail.ts'
import type { Queryable } from './client.ts'
import { readBytes } from './totals.ts'
import type { Transaction } from './transaction.ts'

/** What a transaction says, and for those who follow the trail, what was committed last. */
export interface TrailParts {
  readonly writer: TrailWriter
  readonly tail: TrailTail
}

export async function writeTrail({ client, trail, totals }: Transaction): Promise<void> {
  const rows = trail.rows()
  if (rows.length === 0) return
  await client.query(
    `INSERT INTO trail (bucket, received_at_ms, marks, ids, entries)
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bytea[], $5::bytea[])`,
    [
      rows.map((row) => row.bucket),
      rows.map((row) => row.received_at_ms),
      rows.map((row) => row.marks),
      rows.map((row) => row.ids),
      rows.map((row) => row.entries),
    ],
  )
  for (const row of rows) totals.count(TRAIL_QUEUE, { trail_bytes: bytesOfTrailRow(row) })
}

export async function searchStep(client: Queryable, request: TrailStepRequest): Promise<TrailStep> {
  const { fromBucket, marks = null, ids = null, mostBuckets = TRAIL_STEP_BUCKETS } = request
  const ends = await client.query<{ bucket: number; received_at_ms: number }>(
    `SELECT bucket, received_at_ms FROM trail WHERE bucket <= $1
     ORDER BY bucket DESC, seq DESC LIMIT 1 OFFSET ${TRAIL_STEP_ROWS - 1}`,
    [fromBucket],
  )
  const [end] = ends.rows
  const { rows } = await client.query<{ bucket: number }>(
    `SELECT DISTINCT bucket FROM trail WHERE bucket >= $1 AND bucket <= $2
       AND ($3::integer IS NULL OR marks & $3 <> 0) AND ($4::bytea IS NULL OR position($4 IN ids) > 0)
     ORDER BY bucket DESC LIMIT $5`,
    [end?.bucket ?? 0, fromBucket, marks, ids, mostBuckets],
  )
  const buckets = rows.map(({ bucket }) => bucket)
  return toTrailStep(buckets, await readBuckets(client, buckets), end, request)
}

export async function readBuckets(client: Queryable, buckets: readonly number[]): Promise<TrailRow[]> {
  if (buckets.length === 0) return []
  const { rows } = await client.query<TrailRow>(
    'SELECT bucket, entries FROM trail WHERE bucket = ANY($1) ORDER BY bucket DESC, seq',
    [buckets],
  )
  return rows
}

/** Any number that nobody else locks: "trail" in ASCII. */
const TRIM_LOCK = 0x747261696c

export async function trimTrail(
  { client, totals, limitBytes }: Transaction,
  { receivedBeforeMs, limit }: TrimTrailRequest,
): Promise<number> {
  const { rows: locks } = await client.query<{ is_mine: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1) AS is_mine',
    [TRIM_LOCK],
  )
  if (!locks[0]!.is_mine) return 0
  const bytes = `(octet_length(ids) + octet_length(entries) + ${TRAIL_ROW_BYTES})`
  const { rows: oldest } = await client.query<{
    bucket: number
    seq: number
    received_at_ms: number
    bytes: number
  }>(`SELECT bucket, seq, received_at_ms, ${bytes} AS bytes FROM trail ORDER BY bucket, seq LIMIT $1`, [
    limit,
  ])
  const { trailBytes } = await readBytes(client)
  const overBytes = trailBytes + totals.sum('trail_bytes') - TRAIL_PART * limitBytes
  const last = oldest[countToTrim(oldest, receivedBeforeMs, overBytes) - 1]
  if (last === undefined) return 0
  const { rows: gone } = await client.query<{ bytes: number }>(
    `DELETE FROM trail WHERE (bucket, seq) <= ($1, $2) RETURNING ${bytes} AS bytes`,
    [last.bucket, last.seq],
  )
  totals.count(TRAIL_QUEUE, { trail_bytes: -gone.reduce((sum, row) => sum + row.bytes, 0) })
  return gone.length
}
