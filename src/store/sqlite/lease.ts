/** Hands out waiting batches. */
import { createRoom, listRanges, openBatch } from '../core/lease.ts'
import type { BatchRow } from '../core/rows.ts'
import type { LeasedBatch, LeaseRequest } from '../store.ts'
import { prepare } from './connection.ts'
import { StoreDamaged } from './failures.ts'
import type { QueueTables } from './queue-tables.ts'

export function createLeasing(tables: QueueTables): (request: LeaseRequest) => LeasedBatch[] {
  const { db, leases, batches, sealer, report } = tables
  const selectRange = prepare<{ batch_id: number }>(
    db,
    `SELECT batch_id FROM batches WHERE ad_account_id = ? AND is_test = ? AND is_replay = ?
       AND oldest_event_time_s > ? AND oldest_event_time_s <= ? ORDER BY oldest_event_time_s, batch_id`,
  )

  function* listWaiting({ adAccountId, isTest, nowMs }: LeaseRequest): Generator<BatchRow> {
    for (const { isReplay, aboveS, uptoS } of listRanges(nowMs)) {
      const ids = selectRange.iterate(adAccountId, Number(isTest), Number(isReplay), aboveS, uptoS)
      for (const { batch_id: batchId } of ids) {
        if (leases.isHeld(batchId)) continue
        const row = batches.get(batchId)
        if (row === undefined) throw new StoreDamaged('the order names a batch that is not there')
        yield row
      }
    }
  }

  return function lease(request) {
    const { adAccountId, isTest } = request
    const leased: LeasedBatch[] = []
    const room = createRoom(request)
    for (const row of listWaiting(request)) {
      const batch = openBatch(row, sealer)
      if (batch !== undefined && !room.take(row)) break
      leases.take(row.batch_id)
      if (batch !== undefined) leased.push(batch)
      // It stays in the store, marked as leased: it must not stop the batches behind it.
      else report({ problem: 'batch_unreadable', queue: { adAccountId, isTest }, batchId: row.batch_id })
    }
    return leased
  }
}
