/** Makes dead letters of live events that grew too old while their batches waited, oldest first over all queues. */
import { EXPIRE_STEP_EVENTS, expireBatch } from '../core/expire.ts'
import { toQueue, type BatchRow } from '../core/rows.ts'
import type { ExpireStep } from '../engine/operations.ts'
import type { Acknowledgement, ExpireRequest } from '../store.ts'
import { acknowledgeAll } from './acknowledge.ts'
import { holdBatches } from './batches.ts'
import type { Transaction } from './transaction.ts'

export async function expire(tx: Transaction, request: ExpireRequest): Promise<ExpireStep> {
  const { client, sealer } = tx
  const { oldestEventTimeS, limit } = request
  const { rows } = await client.query<BatchRow>(
    `SELECT * FROM batches WHERE owner_id IS NULL AND NOT is_test AND oldest_event_time_s < $1
     ORDER BY oldest_event_time_s, batch_id LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [oldestEventTimeS, limit],
  )
  const acknowledgements: Acknowledgement[] = []
  const moved: { readonly batchId: number; readonly oldestS: number }[] = []
  const unreadable: number[] = []
  let expired = 0
  let looked = 0
  for (const row of rows) {
    if (expired >= EXPIRE_STEP_EVENTS) break
    looked += 1
    const { batch_id: batchId } = row
    const result = expireBatch(row, request, sealer)
    if (result === undefined) {
      unreadable.push(batchId)
      tx.report({ problem: 'batch_unreadable', queue: toQueue(row), batchId })
      continue
    }
    const { acknowledgement, oldestS } = result
    acknowledgements.push(acknowledgement)
    expired += acknowledgement.dead.length
    if (oldestS !== undefined) moved.push({ batchId, oldestS })
  }
  await acknowledgeAll(tx, acknowledgements)
  if (moved.length > 0) {
    await client.query(
      `UPDATE batches SET oldest_event_time_s = new.oldest FROM unnest($1::bigint[], $2::bigint[]) AS new (id, oldest)
       WHERE batch_id = new.id`,
      [moved.map(({ batchId }) => batchId), moved.map(({ oldestS }) => oldestS)],
    )
  }
  await holdBatches(tx, unreadable)
  return { expired, hasMore: looked < rows.length || rows.length === limit }
}
