/**
 * Writes down what became of a parcel's events, and lets the parcel go with the last of them. Also gives parcels back.
 * An event is settled once: what comes again, or too late, changes nothing.
 */
import type { Settlement } from '../store.ts'
import { addPosition, makeBitmap } from '../bitmap.ts'
import { prepareRows } from './connection.ts'
import { createBurial } from './dead-letters.ts'
import { packHistory } from '../history.ts'
import type { Place } from './leases.ts'
import type { ReleaseRequest, SettleRequest } from './protocol.ts'
import type { Queue } from './queue.ts'

export interface Settling {
  settle(request: SettleRequest): void
  release(request: ReleaseRequest): void
}

type QueueRow = [
  eventCount: number,
  pendingCount: number,
  settled: Uint8Array | null,
  receivedAtMs: number,
  sizeBytes: number,
]

export function createSettling(queue: Queue): Settling {
  const { db, lanes, leases } = queue
  const atPlace = 'lane_id = ? AND is_replay = ? AND oldest_event_time_s = ? AND parcel_id = ?'
  const select = prepareRows<QueueRow>(
    db,
    `SELECT event_count, pending_count, settled, received_at_ms, size_bytes FROM queue WHERE ${atPlace}`,
  )
  const selectPlace = prepareRows<[laneId: number, isReplay: number, oldestEventTimeS: number]>(
    db,
    'SELECT lane_id, is_replay, oldest_event_time_s FROM payloads WHERE parcel_id = ?',
  )
  const removeQueue = db.prepare(`DELETE FROM queue WHERE ${atPlace}`)
  const removePayload = db.prepare('DELETE FROM payloads WHERE parcel_id = ?')
  const updatePending = db.prepare(`UPDATE queue SET pending_count = ?, settled = ? WHERE ${atPlace}`)
  const updateTries = db.prepare(`UPDATE queue SET attempts = ?, history = ? WHERE ${atPlace}`)
  const bury = createBurial(queue)

  /** The lease tells where the row is; without one the payload does. */
  function findPlace(parcelId: number): Place | undefined {
    const lease = leases.get(parcelId)
    if (lease !== undefined) return lease
    const row = selectPlace.get(parcelId)
    return row && { laneId: row[0], isReplay: row[1] === 1, oldestEventTimeS: row[2] }
  }

  /** Answers whether it was there. */
  function remove({ laneId, isReplay, oldestEventTimeS }: Place, parcelId: number): boolean {
    const { changes } = removeQueue.run(laneId, Number(isReplay), oldestEventTimeS, parcelId)
    removePayload.run(parcelId)
    leases.end(parcelId)
    return changes === 1
  }

  /** Nearly every parcel: what its lease knows of it saves reading the row, 2 of the worker's 35 µs per post. */
  function settleWhole(parcelId: number, settledAtMs: number): void {
    const lease = leases.get(parcelId)
    if (lease?.whole === undefined) {
      settleOne({ parcelId, delivered: 'rest', dead: [], settledAtMs })
    } else if (remove(lease, parcelId)) {
      const { pendingCount, sizeBytes } = lease.whole
      const delivered = pendingCount
      lanes.count(lease.laneId, { delivered, queued: -pendingCount, parcels: -1, bytes: -sizeBytes })
    }
  }

  function settle({ wholeParcelIds, settledAtMs, others }: SettleRequest): void {
    for (const parcelId of wholeParcelIds) settleWhole(parcelId, settledAtMs)
    for (const settlement of others) settleOne(settlement)
  }

  function settleOne({ parcelId, delivered, dead, settledAtMs }: Settlement): void {
    const place = findPlace(parcelId)
    if (place === undefined) return
    const { laneId, oldestEventTimeS } = place
    const isReplay = Number(place.isReplay)
    const row = select.get(laneId, isReplay, oldestEventTimeS, parcelId)
    if (row === undefined) return
    const [eventCount, pendingBefore, settledBefore, firstSeenAtMs, sizeBytes] = row

    const settled = settledBefore ?? makeBitmap(eventCount)
    const mark = (position: number): boolean => {
      if (!(position >= 0 && position < eventCount)) {
        throw new RangeError(`Parcel ${parcelId} has no event ${position}.`)
      }
      return addPosition(settled, position)
    }
    const buried = dead.filter(({ index }) => mark(index))
    bury({ parcelId, laneId, dead: buried, firstSeenAtMs, diedAtMs: settledAtMs })
    const deliveredCount =
      delivered === 'rest' ? pendingBefore - buried.length : delivered.filter(mark).length

    const pending = pendingBefore - buried.length - deliveredCount
    if (pending === 0) remove(place, parcelId)
    else {
      updatePending.run(pending, settled, laneId, isReplay, oldestEventTimeS, parcelId)
      leases.forgetPending(parcelId)
    }
    const rejected = buried.filter(({ status }) => status === 'rejected').length
    lanes.count(laneId, {
      delivered: deliveredCount,
      rejected,
      expired: buried.length - rejected,
      queued: pending - pendingBefore,
      ...(pending === 0 ? { parcels: -1, bytes: -sizeBytes } : {}),
    })
  }

  function release({ parcels }: ReleaseRequest): void {
    for (const parcel of parcels) {
      const { parcelId, attempts } = parcel
      const place = findPlace(parcelId)
      if (place === undefined) continue
      const lease = leases.get(parcelId)
      const history = packHistory(parcel.history)
      // A lane that is full gives back what it never tried: nothing to write then.
      if (attempts !== lease?.attempts || history !== lease.history) {
        const { laneId, isReplay, oldestEventTimeS } = place
        updateTries.run(attempts, history, laneId, Number(isReplay), oldestEventTimeS, parcelId)
      }
      leases.end(parcelId)
    }
  }

  return { settle, release }
}
