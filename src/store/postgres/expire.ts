/** Makes dead letters of live events that grew too old while their batches waited, oldest first over all queues. */
import { listPositions } from '../bitmap.ts'
import { EXPIRE_STEP_EVENTS, judgeAge, type AgeOutcome } from '../expiry.ts'
import { bindBatch } from '../dead-letter.ts'
import type { ExpireStep } from '../engine/protocol.ts'
import type { ExpireRequest } from '../store.ts'
import { toQueue, type QueueRow } from './queue-rows.ts'
import { acknowledgeAll } from './acknowledge.ts'
import type { Transaction } from './transaction.ts'

interface Candidate extends QueueRow {
  readonly batch_id: number
  readonly oldest_event_time_s: number
  readonly event_count: number
  readonly acknowledged: Buffer | null
  readonly attempts: number
  readonly history: string | null
  readonly sealed: Buffer
}

interface Outcome extends AgeOutcome {
  readonly candidate: Candidate
}

export async function expire(tx: Transaction, request: ExpireRequest): Promise<ExpireStep> {
  const { client } = tx
  const { oldestEventTimeS, limit, nowMs } = request
  const { rows } = await client.query<Candidate>(
    `SELECT * FROM batches WHERE owner_id IS NULL AND NOT is_test AND oldest_event_time_s < $1
     ORDER BY oldest_event_time_s, batch_id LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [oldestEventTimeS, limit],
  )
  const outcomes: Outcome[] = []
  const unreadable: number[] = []
  let expired = 0
  let looked = 0
  for (const candidate of rows) {
    if (expired >= EXPIRE_STEP_EVENTS) break
    looked += 1
    const outcome = judge(tx, candidate, request)
    if (outcome === undefined) unreadable.push(candidate.batch_id)
    else {
      outcomes.push(outcome)
      expired += outcome.acknowledgement.dead.length
    }
  }
  const acknowledgements = outcomes.map(({ acknowledgement }) => acknowledgement)
  await acknowledgeAll(tx, [{ wholeBatchIds: [], acknowledgedAtMs: nowMs, others: acknowledgements }])
  const moved = outcomes.filter(({ oldestS }) => oldestS !== undefined)
  if (moved.length > 0) {
    await client.query(
      `UPDATE batches SET oldest_event_time_s = new.oldest FROM unnest($1::bigint[], $2::bigint[]) AS new (id, oldest)
       WHERE batch_id = new.id`,
      [moved.map(({ candidate }) => candidate.batch_id), moved.map(({ oldestS }) => oldestS)],
    )
  }
  if (unreadable.length > 0) {
    // Left in the store but out of the way, as where it is leased.
    await client.query('UPDATE batches SET owner_id = $1, lease_number = $2 WHERE batch_id = ANY($3)', [
      tx.ownerId,
      tx.commitNumber,
      unreadable,
    ])
  }
  return { expired, hasMore: looked < rows.length || rows.length === limit }
}

function judge(tx: Transaction, candidate: Candidate, request: ExpireRequest): Outcome | undefined {
  const { batch_id: batchId, acknowledged, sealed } = candidate
  const batch = {
    batchId,
    oldestEventTimeS: candidate.oldest_event_time_s,
    eventCount: candidate.event_count,
    acknowledged: acknowledged === null ? [] : listPositions(acknowledged),
    attempts: candidate.attempts,
    history: candidate.history,
  }
  const outcome = judgeAge(batch, () => tx.sealer.open(sealed, bindBatch(candidate.ad_account_id)), request)
  if (outcome === undefined) {
    tx.report({ problem: 'batch_unreadable', queue: toQueue(candidate), batchId })
    return undefined
  }
  return { candidate, ...outcome }
}
