/**
 * Makes dead letters of live events that grew too old while their parcels waited, oldest first over all lanes. Leased
 * parcels are their holder's: it looks at their age itself.
 */
import TinyQueue from 'tinyqueue'
import { EXPIRE_STEP_EVENTS, judgeAge, type WaitingParcel } from '../expiry.ts'
import { bindParcel } from '../letter.ts'
import type { ExpireRequest } from '../store.ts'
import { listPositions } from '../bitmap.ts'
import { prepareRows } from './connection.ts'
import type { Place } from './leases.ts'
import type { ExpireStep } from './protocol.ts'
import type { Queue } from './queue.ts'
import type { Settling } from './settle.ts'

/** A waiting parcel with an event that may be too old. */
type Candidate = Place & WaitingParcel

type QueueRow = [
  parcelId: number,
  oldestEventTimeS: number,
  eventCount: number,
  settled: Uint8Array | null,
  attempts: number,
  history: string | null,
]

export function createExpiry(queue: Queue, settling: Settling): (request: ExpireRequest) => ExpireStep {
  const { db, lanes, leases, sealer, report } = queue
  const selectNext = prepareRows<QueueRow>(
    db,
    `SELECT parcel_id, oldest_event_time_s, event_count, settled, attempts, history FROM queue
     WHERE lane_id = ? AND is_replay = ? AND (oldest_event_time_s, parcel_id) > (?, ?) AND oldest_event_time_s < ?
     ORDER BY oldest_event_time_s, parcel_id LIMIT 1`,
  )
  const selectSealed = prepareRows<[sealed: Uint8Array]>(
    db,
    'SELECT sealed FROM payloads WHERE parcel_id = ?',
  )
  const moveRow = db.prepare(
    `UPDATE queue SET oldest_event_time_s = ?
     WHERE lane_id = ? AND is_replay = ? AND oldest_event_time_s = ? AND parcel_id = ?`,
  )
  const movePayload = db.prepare('UPDATE payloads SET oldest_event_time_s = ? WHERE parcel_id = ?')

  /** The first one of its line behind this place that nobody holds. */
  function findNext(
    { laneId, isReplay }: Pick<Place, 'laneId' | 'isReplay'>,
    oldestEventTimeS: number,
    after = { oldestEventTimeS: Number.MIN_SAFE_INTEGER, parcelId: 0 },
  ): Candidate | undefined {
    for (let { oldestEventTimeS: timeS, parcelId } = after; ;) {
      const row = selectNext.get(laneId, Number(isReplay), timeS, parcelId, oldestEventTimeS)
      if (row === undefined) return undefined
      ;[parcelId, timeS] = row
      if (leases.isHeld(parcelId)) continue
      const [, , eventCount, settled, attempts, history] = row
      const positions = settled === null ? [] : listPositions(settled)
      const place = { laneId, isReplay, oldestEventTimeS: timeS }
      return { ...place, parcelId, eventCount, settled: positions, attempts, history }
    }
  }

  /** Of all lanes, the oldest first. */
  function* walk(oldestEventTimeS: number): Generator<Candidate> {
    lanes.flush()
    const heads = new TinyQueue<Candidate>(
      [],
      (a, b) => a.oldestEventTimeS - b.oldestEventTimeS || a.parcelId - b.parcelId,
    )
    for (const laneId of lanes.liveLaneIds()) {
      for (const isReplay of [false, true]) {
        const head = findNext({ laneId, isReplay }, oldestEventTimeS)
        if (head !== undefined) heads.push(head)
      }
    }
    for (let head = heads.pop(); head !== undefined; head = heads.pop()) {
      const next = findNext(head, oldestEventTimeS, head)
      if (next !== undefined) heads.push(next)
      yield head
    }
  }

  /** Answers how many events of it expired. */
  function expireOne(candidate: Candidate, request: ExpireRequest): number {
    const { parcelId, laneId, isReplay, oldestEventTimeS, attempts, history } = candidate
    const lane = lanes.keyOf(laneId)
    const verdict = judgeAge(
      candidate,
      () => sealer.open(selectSealed.get(parcelId)![0], bindParcel(lane.adAccountId)),
      request,
    )
    if (verdict === undefined) {
      // Left in the store but out of the way, as where it is leased.
      leases.take(parcelId, { ...candidate, attempts, history })
      report({ problem: 'parcel_unreadable', lane, parcelId })
      return 0
    }
    const { settlement, oldestS } = verdict
    settling.settle({ wholeParcelIds: [], settledAtMs: request.nowMs, others: [settlement] })
    if (oldestS !== undefined) {
      moveRow.run(oldestS, laneId, Number(isReplay), oldestEventTimeS, parcelId)
      movePayload.run(oldestS, parcelId)
    }
    return settlement.dead.length
  }

  return function expire(request) {
    let expired = 0
    let seen = 0
    for (const candidate of walk(request.oldestEventTimeS)) {
      if (seen === request.limit || expired >= EXPIRE_STEP_EVENTS) return { expired, hasMore: true }
      seen += 1
      expired += expireOne(candidate, request)
    }
    return { expired, hasMore: false }
  }
}
