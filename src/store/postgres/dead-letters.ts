/** Dead letters: written, found from new to old, a bounded number of rows per step, queued again, deleted. */
import type { NewDeadLetter } from '../core/acknowledge.ts'
import { purgeStep, replayStep } from '../core/audit.ts'
import {
  conditionsOf,
  countRaised,
  raise,
  showDeadLetter,
  STEP_ROWS,
  summarizeReplay,
  toRows,
  trailOfReplay,
  type DeadLetterRows,
} from '../core/dead-letters.ts'
import { toQueue, type DeadLetterRow, type QueueRow } from '../core/rows.ts'
import { bytesOfDeadLetter, DEAD_LETTER_BYTES_SQL, DEAD_LETTER_PART } from '../core/share.ts'
import type { DeadLetterPage } from '../engine/operations.ts'
import type {
  DeadLetterQuery,
  PurgeRequest,
  PurgeStep,
  ReplayRequest,
  ReplayStep,
  TrimRequest,
  TrimStep,
} from '../store.ts'
import type { Sealer } from '../../vault/seal.ts'
import { countInAudit } from './audit.ts'
import { insertBatches } from './batches.ts'
import type { Queryable } from './client.ts'
import { claimKeys } from './dedupe.ts'
import { readBytes } from './totals.ts'
import { tellFeed, type Transaction } from './transaction.ts'

export async function addDeadLetters(
  { client, totals }: Transaction,
  deadLetters: readonly NewDeadLetter[],
): Promise<void> {
  if (deadLetters.length === 0) return
  const rows = deadLetters.map(({ row }) => row)
  await client.query(
    `INSERT INTO dead_letters (ad_account_id, is_test, event_name, event_id, order_id, event_time_s, status, reason, attempts,
       first_seen_at_ms, died_at_ms, history, sealed)
     SELECT ad_account_id, is_test, event_name, event_id, order_id, event_time_s, status, reason, attempts, first_seen, died,
       history, sealed
     FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::integer[],
       $9::bigint[], $10::bigint[], $11::text[], $12::bytea[], $13::text[]) WITH ORDINALITY
       AS new (ad_account_id, is_test, event_name, event_id, event_time_s, status, reason, attempts, first_seen, died,
         history, sealed, order_id, place)
     ORDER BY place`,
    [
      rows.map((row) => row.ad_account_id),
      rows.map((row) => row.is_test),
      rows.map((row) => row.event_name),
      rows.map((row) => row.event_id),
      rows.map((row) => row.event_time_s),
      rows.map((row) => row.status),
      rows.map((row) => row.reason),
      rows.map((row) => row.attempts),
      rows.map((row) => row.first_seen_at_ms),
      rows.map((row) => row.died_at_ms),
      rows.map((row) => row.history),
      rows.map((row) => row.sealed),
      rows.map((row) => row.order_id),
    ],
  )
  for (const row of rows) totals.count(toQueue(row), { dead_bytes: bytesOfDeadLetter(row) })
}

export async function findDeadLetters(
  client: Queryable,
  { limit, beforeId = Number.MAX_SAFE_INTEGER, ids, ...filter }: DeadLetterQuery,
  lock: '' | 'FOR UPDATE',
): Promise<DeadLetterRows> {
  let endId: number | undefined
  if (ids === undefined) {
    const { rows } = await client.query<{ id: number }>(
      `SELECT id FROM dead_letters WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
      [beforeId],
    )
    endId = rows[0]?.id
  }
  const conditions = conditionsOf(filter)
  const sql = conditions.map(([column], index) => `AND ${column} = $${index + 5}`)
  const { rows } = await client.query<DeadLetterRow>(
    `SELECT * FROM dead_letters WHERE id < $1 AND id >= $2 AND ($4::bigint[] IS NULL OR id = ANY($4)) ${sql.join(' ')}
     ORDER BY id DESC LIMIT $3 ${lock}`,
    [beforeId, endId ?? 0, limit, ids ?? null, ...conditions.map(([, value]) => value)],
  )
  return toRows(rows, limit, endId)
}

export async function searchDeadLetters(
  client: Queryable,
  sealer: Sealer,
  query: DeadLetterQuery,
): Promise<DeadLetterPage> {
  const { rows, beforeId } = await findDeadLetters(client, query, '')
  return { deadLetters: rows.map((row) => showDeadLetter(row, sealer)), beforeId }
}

export async function replay(tx: Transaction, request: ReplayRequest): Promise<ReplayStep> {
  const { client, totals } = tx
  const { rows, beforeId } = await findDeadLetters(client, request, 'FOR UPDATE')
  const decided = rows.map((row) => {
    const raised = raise(row, request, tx.sealer, tx.nextBatchId)
    if (raised === 'unreadable') {
      tx.report({ problem: 'dead_letter_unreadable', queue: toQueue(row), deadLetterId: row.id })
    }
    return raised
  })
  const raised = decided.filter((one) => typeof one !== 'string')
  const claimed = await claimKeys(
    client,
    raised.flatMap(({ key, batch: { batch_id: batchId } }) =>
      key === undefined ? [] : [{ key, batchId, seenAtMs: request.nowMs }],
    ),
  )
  const queued = new Set(raised.filter(({ key }) => key === undefined || claimed.take(key)))
  await removeDeadLetters(
    tx,
    raised.map(({ deadLetter }) => deadLetter),
  )
  await insertBatches(
    tx,
    [...queued].map(({ batch }) => batch),
    'waiting',
  )
  for (const one of raised) {
    const { batch, deadLetter } = one
    const isQueued = queued.has(one)
    totals.count(toQueue(batch), countRaised(one, isQueued))
    const posted = trailOfReplay(deadLetter, request.nowMs)
    tx.trail.post(batch.batch_id, toQueue(batch), posted, isQueued ? [] : [0])
  }
  const summary = summarizeReplay(decided, queued)
  await tellFeed(client, tx.ownerId, { kind: 'queues', queues: summary.queues })
  return { auditId: await countInAudit(client, replayStep(request, summary)), ...summary, beforeId }
}

/** Also what no key opens. */
export async function purge(tx: Transaction, request: PurgeRequest): Promise<PurgeStep> {
  const { rows, beforeId } = await findDeadLetters(tx.client, request, 'FOR UPDATE')
  await removeDeadLetters(tx, rows)
  const auditId = await countInAudit(tx.client, purgeStep(request, rows.length))
  return { auditId, purged: rows.length, beforeId }
}

/** Rows that this transaction locked. */
export async function removeDeadLetters(tx: Transaction, rows: readonly DeadLetterRow[]): Promise<void> {
  if (rows.length === 0) return
  await tx.client.query('DELETE FROM dead_letters WHERE id = ANY($1)', [rows.map(({ id }) => id)])
  countRemoved(
    tx,
    rows.map((row) => ({ ...row, bytes: bytesOfDeadLetter(row) })),
  )
}

/** Any number that nobody else locks: "dead letter" in ASCII. */
export const TRIM_LOCK = 0x6c6574746572

type RemovedRow = QueueRow & { readonly bytes: number }

const RETURNING = `RETURNING ad_account_id, is_test, ${DEAD_LETTER_BYTES_SQL} AS bytes`

/** One replica at a time: two would both remove rows for the same bytes. */
export async function trim(tx: Transaction, { diedBeforeMs, limit }: TrimRequest): Promise<TrimStep> {
  const { client } = tx
  const { rows: locks } = await client.query<{ is_mine: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1) AS is_mine',
    [TRIM_LOCK],
  )
  if (!locks[0]!.is_mine) return { tooOld: 0, overPart: 0 }
  const old = await client.query<RemovedRow>(
    // Materialized: a subquery may run once per row, each time with other rows within its LIMIT.
    `WITH old AS MATERIALIZED (
       SELECT id FROM dead_letters WHERE died_at_ms < $1 ORDER BY died_at_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED)
     DELETE FROM dead_letters WHERE id IN (SELECT id FROM old)
     ${RETURNING}`,
    [diedBeforeMs, limit],
  )
  countRemoved(tx, old.rows)
  const left = limit - old.rows.length
  const { deadLetterBytes } = await readBytes(client)
  // Totals are written at the transaction's end.
  const overBytes = deadLetterBytes + tx.totals.sum('dead_bytes') - DEAD_LETTER_PART * tx.limitBytes
  if (left === 0 || overBytes <= 0) return { tooOld: old.rows.length, overPart: 0 }
  // Each of which those before it do not make enough room.
  const over = await client.query<RemovedRow>(
    `WITH oldest AS (
       SELECT id, died_at_ms, ${DEAD_LETTER_BYTES_SQL} AS bytes FROM dead_letters ORDER BY died_at_ms, id LIMIT $2
       FOR UPDATE SKIP LOCKED)
     DELETE FROM dead_letters WHERE id IN (
       SELECT id FROM (SELECT id, SUM(bytes) OVER (ORDER BY died_at_ms, id) - bytes AS before FROM oldest) AS summed
       WHERE before < $1)
     ${RETURNING}`,
    [overBytes, left],
  )
  countRemoved(tx, over.rows)
  return { tooOld: old.rows.length, overPart: over.rows.length }
}

function countRemoved({ totals }: Transaction, rows: readonly RemovedRow[]): void {
  for (const row of rows) totals.count(toQueue(row), { dead_bytes: -row.bytes })
}
