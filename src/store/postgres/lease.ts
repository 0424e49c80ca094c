/** Hands out waiting batches. Rows that another replica is just leasing are passed over, not waited for. */
import { createRoom, listRanges, openBatch, type LeaseRange } from '../core/lease.ts'
import type { BatchRow } from '../core/rows.ts'
import type { LeasedBatch, LeaseRequest } from '../store.ts'
import { holdBatches } from './batches.ts'
import type { Transaction } from './transaction.ts'

/** Rows per query; most leases need one query. */
const CHUNK_ROWS = 500

type Choice = Pick<BatchRow, 'batch_id' | 'oldest_event_time_s' | 'pending_count' | 'size_bytes'>

export async function lease(tx: Transaction, request: LeaseRequest): Promise<LeasedBatch[]> {
  const { adAccountId, isTest } = request
  const batches: LeasedBatch[] = []
  for (;;) {
    const room = createRoom(request)
    for (const batch of batches) {
      room.take({ pending_count: countPending(batch), size_bytes: batch.payload.byteLength })
    }
    const chosen: number[] = []
    for await (const row of listWaiting(tx, request)) {
      if (!room.take(row)) break
      chosen.push(row.batch_id)
    }
    const rows = new Map((await holdBatches(tx, chosen)).map((row) => [row.batch_id, row]))
    let isWhole = true
    for (const batchId of chosen) {
      const batch = openBatch(rows.get(batchId)!, tx.sealer)
      if (batch !== undefined) batches.push(batch)
      else {
        isWhole = false
        tx.report({ problem: 'batch_unreadable', queue: { adAccountId, isTest }, batchId })
      }
    }
    // Unreadable batches are out of the way now: read more in their place.
    if (isWhole) return batches
  }
}

function countPending({ eventCount, acknowledged }: LeasedBatch): number {
  return eventCount - acknowledged.length
}

async function* listWaiting(
  { client }: Transaction,
  { adAccountId, isTest, maxEvents, nowMs }: LeaseRequest,
): AsyncGenerator<Choice> {
  // Each has an event at least; one more shows that it does not fit.
  const limit = Math.min(CHUNK_ROWS, maxEvents + 1)
  for (const range of listRanges(nowMs)) {
    let after = [range.aboveS, Number.MAX_SAFE_INTEGER]
    for (;;) {
      const values = [adAccountId, isTest, ...after, range.uptoS, limit]
      const { rows } = await client.query<Choice>(waitingSql(range), values)
      yield* rows
      const last = rows.at(-1)
      if (last === undefined || rows.length < limit) break
      after = [last.oldest_event_time_s, last.batch_id]
    }
  }
}

export function waitingSql({ isReplay }: Pick<LeaseRange, 'isReplay'>): string {
  return `SELECT batch_id, oldest_event_time_s, pending_count, size_bytes FROM batches
    WHERE owner_id IS NULL AND ad_account_id = $1 AND is_test = $2 AND is_replay = ${isReplay}
      AND (oldest_event_time_s, batch_id) > ($3, $4) AND oldest_event_time_s <= $5
    ORDER BY oldest_event_time_s, batch_id LIMIT $6 FOR UPDATE SKIP LOCKED`
}
