/**
 * Hands out waiting batches: first those still on time, the one closest to the edge first; then the late ones, oldest
 * first; then replays. All are ranges of the queue's own order, so that a queue with a million batches costs no more than
 * a short one.
 */
import { ON_TIME_S, type LeasedBatch, type LeaseRequest } from '../store.ts'
import { listPositions } from '../bitmap.ts'
import { prepareRows } from './connection.ts'
import { unpackHistory } from '../history.ts'
import { bindBatch } from '../dead-letter.ts'
import type { QueueTables } from './queue-tables.ts'

type QueueRow = [
  batchId: number,
  oldestEventTimeS: number,
  sizeBytes: number,
  eventCount: number,
  pendingCount: number,
  acknowledged: Uint8Array | null,
  attempts: number,
  receivedAtMs: number,
  isReplay: number,
  history: string | null,
]

export function createLeasing(tables: QueueTables): (request: LeaseRequest) => LeasedBatch[] {
  const { db, queues, leases, sealer, report } = tables
  const selectRange = (range: string) =>
    prepareRows<QueueRow>(
      db,
      `SELECT batch_id, oldest_event_time_s, size_bytes, event_count, pending_count, acknowledged, attempts, received_at_ms,
         is_replay, history
       FROM batches WHERE queue_id = ? AND ${range} ORDER BY oldest_event_time_s, batch_id`,
    )
  const onTime = selectRange('is_replay = 0 AND oldest_event_time_s > ?')
  const late = selectRange('is_replay = 0 AND oldest_event_time_s <= ?')
  const replays = selectRange('is_replay = 1')
  const selectSealed = prepareRows<[sealed: Uint8Array]>(db, 'SELECT sealed FROM payloads WHERE batch_id = ?')

  function* listWaiting(queueId: number, nowMs: number): Generator<QueueRow> {
    const edgeS = Math.floor(nowMs / 1000) - ON_TIME_S
    for (const row of onTime.iterate(queueId, edgeS)) if (!leases.isHeld(row[0])) yield row
    for (const row of late.iterate(queueId, edgeS)) if (!leases.isHeld(row[0])) yield row
    for (const row of replays.iterate(queueId)) if (!leases.isHeld(row[0])) yield row
  }

  function open(adAccountId: string, batchId: number): Uint8Array | undefined {
    const row = selectSealed.get(batchId)
    try {
      return row && sealer.open(row[0], bindBatch(adAccountId))
    } catch {
      return undefined
    }
  }

  return function lease({ adAccountId, isTest, maxEvents, maxBytes, nowMs }) {
    const queueId = queues.find({ adAccountId, isTest })
    if (queueId === undefined) return []
    const batches: LeasedBatch[] = []
    let events = 0
    let bytes = 0
    for (const row of listWaiting(queueId, nowMs)) {
      const [batchId, oldestEventTimeS, sizeBytes, eventCount, pendingCount] = row
      const [, , , , , acknowledged, attempts, receivedAtMs, replay, history] = row
      const isReplay = replay === 1
      const fits = events + pendingCount <= maxEvents && bytes + sizeBytes <= maxBytes
      if (!fits && batches.length > 0) break
      const payload = open(adAccountId, batchId)
      if (payload === undefined) {
        // Left in the store but out of the way: it must not stop the batches behind it.
        leases.take(batchId, { queueId, isReplay, oldestEventTimeS, attempts, history })
        report({ problem: 'batch_unreadable', queue: { adAccountId, isTest }, batchId })
        continue
      }
      events += pendingCount
      bytes += sizeBytes
      leases.take(batchId, { queueId, isReplay, oldestEventTimeS, attempts, history })
      batches.push({
        adAccountId,
        isTest,
        batchId,
        payload,
        eventCount,
        acknowledged: acknowledged === null ? [] : listPositions(acknowledged),
        oldestEventTimeS,
        receivedAtMs,
        attempts,
        isReplay,
        history: unpackHistory(history),
      })
    }
    return batches
  }
}
