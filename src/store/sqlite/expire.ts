/**
 * Makes dead letters of live events that grew too old while their batches waited, oldest first over all queues. The
 * holder of a leased batch checks its age itself.
 */
import TinyQueue from 'tinyqueue'
import { EXPIRE_STEP_EVENTS, expireBatch } from '../core/expire.ts'
import { toQueue, type BatchRow } from '../core/rows.ts'
import type { ExpireStep } from '../engine/operations.ts'
import type { ExpireRequest, QueueKey } from '../store.ts'
import type { Acknowledgements } from './acknowledge.ts'
import { prepare } from './connection.ts'
import { StoreDamaged } from './failures.ts'
import type { QueueTables } from './queue-tables.ts'

/** A waiting batch with an event that may be too old, the first one of its queue or of the queue's replays. */
interface Candidate {
  readonly adAccountId: string
  readonly isReplay: number
  readonly oldestS: number
  readonly batchId: number
}

export function createExpiry(
  tables: QueueTables,
  acknowledgements: Acknowledgements,
): (request: ExpireRequest) => ExpireStep {
  const { db, totals, leases, batches, sealer, report } = tables
  const selectNext = prepare<Pick<BatchRow, 'batch_id' | 'oldest_event_time_s'>>(
    db,
    `SELECT batch_id, oldest_event_time_s FROM batches WHERE ad_account_id = ? AND is_test = 0 AND is_replay = ?
       AND (oldest_event_time_s, batch_id) > (?, ?) AND oldest_event_time_s < ?
     ORDER BY oldest_event_time_s, batch_id LIMIT 1`,
  )
  const move = db.prepare('UPDATE batches SET oldest_event_time_s = ? WHERE batch_id = ?')

  /** The first one behind this place that nobody holds. */
  function findNext(place: Candidate, tooOldS: number): Candidate | undefined {
    for (let { oldestS, batchId } = place; ;) {
      const row = selectNext.get(place.adAccountId, place.isReplay, oldestS, batchId, tooOldS)
      if (row === undefined) return undefined
      ;({ oldest_event_time_s: oldestS, batch_id: batchId } = row)
      if (!leases.isHeld(batchId)) return { ...place, oldestS, batchId }
    }
  }

  /** Of all queues, the oldest first. */
  function* walk(tooOldS: number): Generator<number> {
    totals.flush()
    const starts = totals
      .liveQueues()
      .flatMap(({ adAccountId }: QueueKey) =>
        [0, 1].map((isReplay) => ({ adAccountId, isReplay, oldestS: Number.MIN_SAFE_INTEGER, batchId: 0 })),
      )
    const heads = new TinyQueue<Candidate>(
      starts.flatMap((start) => findNext(start, tooOldS) ?? []),
      (a, b) => a.oldestS - b.oldestS || a.batchId - b.batchId,
    )
    for (let head = heads.pop(); head !== undefined; head = heads.pop()) {
      const next = findNext(head, tooOldS)
      if (next !== undefined) heads.push(next)
      yield head.batchId
    }
  }

  /** Answers how many events of it expired. */
  function expireOne(batchId: number, request: ExpireRequest): number {
    const row = batches.get(batchId)
    if (row === undefined) throw new StoreDamaged('the order names a batch that is not there')
    const expired = expireBatch(row, request, sealer)
    if (expired === undefined) {
      // It stays in the store, marked as leased.
      leases.take(batchId)
      report({ problem: 'batch_unreadable', queue: toQueue(row), batchId })
      return 0
    }
    const { acknowledgement, oldestS } = expired
    acknowledgements.acknowledge([acknowledgement])
    if (oldestS !== undefined) move.run(oldestS, batchId)
    return acknowledgement.dead.length
  }

  return function expire(request) {
    let expired = 0
    let looked = 0
    for (const batchId of walk(request.oldestEventTimeS)) {
      if (looked === request.limit || expired >= EXPIRE_STEP_EVENTS) return { expired, hasMore: true }
      looked += 1
      expired += expireOne(batchId, request)
    }
    return { expired, hasMore: false }
  }
}
