/**
 * Acknowledges and releases batches: a few statements for all of a transaction. Batches that are gone, or that another
 * replica leases, are left alone: the first outcome counts.
 */
import {
  acknowledgeBatch,
  countWhole,
  isWhole,
  makeDeadLetters,
  type NewDeadLetter,
} from '../core/acknowledge.ts'
import { packHistory } from '../core/history.ts'
import { outcomeOf } from '../core/trail.ts'
import { toQueue, uniqueQueues, type BatchRow, type QueueRow } from '../core/rows.ts'
import type { Acknowledgement, ReleasedBatch } from '../store.ts'
import { addDeadLetters } from './dead-letters.ts'
import { forgetKeys } from './dedupe.ts'
import { MAY_ACKNOWLEDGE, tellFeed, type Transaction } from './transaction.ts'

/** Throws a RangeError where one of them is itself at fault. */
export async function acknowledgeAll(
  tx: Transaction,
  acknowledgements: readonly Acknowledgement[],
): Promise<void> {
  const ofBatch = Map.groupBy(acknowledgements, ({ batchId }) => batchId)
  const isAlone = (one: Acknowledgement) => isWhole(one) && ofBatch.get(one.batchId)!.length === 1
  await acknowledgeWhole(tx, acknowledgements.filter(isAlone))
  const others = acknowledgements.filter((one) => !isAlone(one))
  if (others.length === 0) return
  const locked = await lockBatches(tx, others)
  const batches = new Map(locked)
  const deadLetters: (NewDeadLetter & { readonly batchId: number })[] = []
  for (const acknowledgement of others) {
    const { batchId, acknowledgedAtMs } = acknowledgement
    const row = batches.get(batchId)
    if (row === undefined || row.pending_count === 0) continue
    const { pendingCount, acknowledged, died, counts } = acknowledgeBatch(row, acknowledgement)
    batches.set(batchId, { ...row, pending_count: pendingCount, acknowledged })
    tx.totals.count(toQueue(row), counts)
    tx.trail.outcome(outcomeOf(acknowledgement, died))
    const made = makeDeadLetters(row, died, acknowledgedAtMs, tx.sealer)
    deadLetters.push(...made.map((one) => ({ ...one, batchId })))
  }
  await addDeadLetters(tx, deadLetters)
  await forgetKeys(
    tx.client,
    deadLetters.flatMap(({ key, batchId }) => (key === undefined ? [] : [{ key, batchId }])),
  )
  await writeBatches(
    tx,
    [...batches.values()].filter((row) => row !== locked.get(row.batch_id)),
  )
}

/** Nearly every batch. */
async function acknowledgeWhole(tx: Transaction, whole: readonly Acknowledgement[]): Promise<void> {
  if (whole.length === 0) return
  const { rows } = await tx.client.query<
    QueueRow & Pick<BatchRow, 'batch_id' | 'pending_count' | 'size_bytes'>
  >(
    `DELETE FROM batches WHERE ${MAY_ACKNOWLEDGE} AND batch_id = ANY($2)
     RETURNING batch_id, ad_account_id, is_test, pending_count, size_bytes`,
    [tx.ownerIds, whole.map(({ batchId }) => batchId)],
  )
  for (const row of rows) tx.totals.count(toQueue(row), countWhole(row))
  const gone = new Set(rows.map((row) => row.batch_id))
  for (const one of whole) if (gone.has(one.batchId)) tx.trail.outcome(outcomeOf(one, []))
}

/** The payload is read only where an event died: rarely. */
async function lockBatches(
  tx: Transaction,
  acknowledgements: readonly Acknowledgement[],
): Promise<Map<number, BatchRow>> {
  const { rows } = await tx.client.query<BatchRow>(
    `SELECT batch_id, ad_account_id, is_test, event_count, size_bytes, pending_count, acknowledged, received_at_ms,
       CASE WHEN batch_id = ANY($3) THEN sealed END AS sealed
     FROM batches WHERE ${MAY_ACKNOWLEDGE} AND batch_id = ANY($2) ORDER BY batch_id FOR UPDATE`,
    [
      tx.ownerIds,
      acknowledgements.map(({ batchId }) => batchId),
      acknowledgements.filter(({ dead }) => dead.length > 0).map(({ batchId }) => batchId),
    ],
  )
  return new Map(rows.map((row) => [row.batch_id, row]))
}

async function writeBatches({ client }: Transaction, changed: readonly BatchRow[]): Promise<void> {
  const gone = changed.filter((row) => row.pending_count === 0)
  const kept = changed.filter((row) => row.pending_count > 0)
  if (gone.length > 0) {
    await client.query('DELETE FROM batches WHERE batch_id = ANY($1)', [gone.map((row) => row.batch_id)])
  }
  if (kept.length === 0) return
  await client.query(
    `UPDATE batches SET pending_count = new.pending, acknowledged = new.acknowledged
     FROM unnest($1::bigint[], $2::integer[], $3::bytea[]) AS new (batch_id, pending, acknowledged)
     WHERE batches.batch_id = new.batch_id`,
    [
      kept.map((row) => row.batch_id),
      kept.map((row) => row.pending_count),
      kept.map((row) => row.acknowledged),
    ],
  )
}

/** Each batch at most once. */
export async function releaseAll(tx: Transaction, released: readonly ReleasedBatch[]): Promise<void> {
  const batches = [...new Map(released.map((one) => [one.batchId, one])).values()]
  if (batches.length === 0) return
  const { rows } = await tx.client.query<QueueRow>(
    `UPDATE batches SET owner_id = NULL, lease_number = NULL, attempts = new.attempts, history = new.history
     FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS new (batch_id, attempts, history)
     WHERE ${MAY_ACKNOWLEDGE} AND batches.batch_id = new.batch_id RETURNING ad_account_id, is_test`,
    [
      tx.ownerIds,
      batches.map(({ batchId }) => batchId),
      batches.map(({ attempts }) => attempts),
      batches.map(({ history }) => packHistory(history)),
    ],
  )
  await tellFeed(tx.client, tx.ownerId, { kind: 'queues', queues: uniqueQueues(rows) })
}
