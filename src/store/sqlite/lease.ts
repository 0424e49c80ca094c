/**
 * Hands out waiting parcels: first those still on time, the one closest to the edge first; then the late ones, oldest
 * first; then replays. All are ranges of the queue's own order, so that a lane with a million parcels costs no more than
 * a short one.
 */
import { ON_TIME_S, type LeasedParcel, type LeaseRequest } from '../store.ts'
import { listPositions } from '../bitmap.ts'
import { prepareRows } from './connection.ts'
import { unpackHistory } from '../history.ts'
import { bindParcel } from '../letter.ts'
import type { Queue } from './queue.ts'

type QueueRow = [
  parcelId: number,
  oldestEventTimeS: number,
  sizeBytes: number,
  eventCount: number,
  pendingCount: number,
  settled: Uint8Array | null,
  attempts: number,
  receivedAtMs: number,
  isReplay: number,
  history: string | null,
]

export function createLeasing(queue: Queue): (request: LeaseRequest) => LeasedParcel[] {
  const { db, lanes, leases, sealer, report } = queue
  const selectRange = (range: string) =>
    prepareRows<QueueRow>(
      db,
      `SELECT parcel_id, oldest_event_time_s, size_bytes, event_count, pending_count, settled, attempts, received_at_ms,
         is_replay, history
       FROM queue WHERE lane_id = ? AND ${range} ORDER BY oldest_event_time_s, parcel_id`,
    )
  const onTime = selectRange('is_replay = 0 AND oldest_event_time_s > ?')
  const late = selectRange('is_replay = 0 AND oldest_event_time_s <= ?')
  const replays = selectRange('is_replay = 1')
  const selectSealed = prepareRows<[sealed: Uint8Array]>(
    db,
    'SELECT sealed FROM payloads WHERE parcel_id = ?',
  )

  function* listWaiting(laneId: number, nowMs: number): Generator<QueueRow> {
    const edgeS = Math.floor(nowMs / 1000) - ON_TIME_S
    for (const row of onTime.iterate(laneId, edgeS)) if (!leases.isHeld(row[0])) yield row
    for (const row of late.iterate(laneId, edgeS)) if (!leases.isHeld(row[0])) yield row
    for (const row of replays.iterate(laneId)) if (!leases.isHeld(row[0])) yield row
  }

  function open(adAccountId: string, parcelId: number): Uint8Array | undefined {
    const row = selectSealed.get(parcelId)
    try {
      return row && sealer.open(row[0], bindParcel(adAccountId))
    } catch {
      return undefined
    }
  }

  return function lease({ adAccountId, isTest, maxEvents, maxBytes, nowMs }) {
    const laneId = lanes.find({ adAccountId, isTest })
    if (laneId === undefined) return []
    const parcels: LeasedParcel[] = []
    let events = 0
    let bytes = 0
    for (const row of listWaiting(laneId, nowMs)) {
      const [parcelId, oldestEventTimeS, sizeBytes, eventCount, pendingCount] = row
      const [, , , , , settled, attempts, receivedAtMs, replay, history] = row
      const isReplay = replay === 1
      const fits = events + pendingCount <= maxEvents && bytes + sizeBytes <= maxBytes
      if (!fits && parcels.length > 0) break
      const payload = open(adAccountId, parcelId)
      if (payload === undefined) {
        // Left in the store but out of the way: it must not stop the parcels behind it.
        leases.take(parcelId, { laneId, isReplay, oldestEventTimeS, attempts, history })
        report({ problem: 'parcel_unreadable', lane: { adAccountId, isTest }, parcelId })
        continue
      }
      events += pendingCount
      bytes += sizeBytes
      leases.take(parcelId, { laneId, isReplay, oldestEventTimeS, attempts, history })
      parcels.push({
        adAccountId,
        isTest,
        parcelId,
        payload,
        eventCount,
        settled: settled === null ? [] : listPositions(settled),
        oldestEventTimeS,
        receivedAtMs,
        attempts,
        isReplay,
        history: unpackHistory(history),
      })
    }
    return parcels
  }
}
