/**
 * Makes dead letters of live events that grew too old while their parcels waited, oldest first over all lanes. Leased
 * parcels are their holder's: it looks at their age itself.
 */
import TinyQueue from 'tinyqueue'
import { bindParcel, readEventTimeS, TOO_OLD_MESSAGE } from '../letter.ts'
import { splitEvents } from '../payload.ts'
import type { DeadEvent, ExpireRequest } from '../store.ts'
import { listPositions } from '../bitmap.ts'
import { prepareRows } from './connection.ts'
import { unpackHistory } from '../history.ts'
import type { Place } from './leases.ts'
import type { ExpireStep } from './protocol.ts'
import type { Queue } from './queue.ts'
import type { Settling } from './settle.ts'

/** A step ends after so many events, even when they are those of a few parcels: some 20 ms of burials. */
const STEP_EVENTS = 1000

/** A waiting parcel with an event that may be too old. */
interface Candidate extends Place {
  readonly parcelId: number
  readonly eventCount: number
  readonly settled: readonly number[]
  readonly attempts: number
  readonly history: string | null
}

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

  function readTimes({ parcelId, laneId, oldestEventTimeS }: Candidate): number[] | undefined {
    const { adAccountId } = lanes.keyOf(laneId)
    try {
      const [sealed] = selectSealed.get(parcelId)!
      // What has no time that can be read counts as the oldest: it is looked at once, and not forever.
      return splitEvents(sealer.open(sealed, bindParcel(adAccountId))).map(
        (json) => readEventTimeS(JSON.parse(json) as Readonly<Record<string, unknown>>) ?? oldestEventTimeS,
      )
    } catch {
      return undefined
    }
  }

  /** Answers how many events of it expired. */
  function expireOne(candidate: Candidate, { oldestEventTimeS, nowMs }: ExpireRequest): number {
    const { parcelId, laneId, isReplay, eventCount, settled, attempts, history } = candidate
    const timesS = readTimes(candidate)
    if (timesS === undefined) {
      // Left in the store but out of the way, as where it is leased.
      leases.take(parcelId, { ...candidate, attempts, history })
      report({ problem: 'parcel_unreadable', lane: lanes.keyOf(laneId), parcelId })
      return 0
    }
    const gone = new Set(settled)
    const pending = Array.from({ length: eventCount }, (_, index) => index).filter(
      (index) => !gone.has(index),
    )
    const old = pending.filter((index) => timesS[index]! < oldestEventTimeS)
    const why = {
      status: 'expired' as const,
      reason: 'too_old',
      message: TOO_OLD_MESSAGE,
      attempts,
      history: [...unpackHistory(history), { atMs: nowMs, reason: 'too_old' }],
    }
    const dead: DeadEvent[] = old.map((index) => ({ index, ...why }))
    const settlement = { parcelId, delivered: [], dead, settledAtMs: nowMs }
    settling.settle({ wholeParcelIds: [], settledAtMs: nowMs, others: [settlement] })
    if (old.length < pending.length) {
      const keptTimesS = pending.map((index) => timesS[index]!).filter((timeS) => timeS >= oldestEventTimeS)
      const oldestS = Math.min(...keptTimesS)
      moveRow.run(oldestS, laneId, Number(isReplay), candidate.oldestEventTimeS, parcelId)
      movePayload.run(oldestS, parcelId)
    }
    return old.length
  }

  return function expire(request) {
    let expired = 0
    let seen = 0
    for (const candidate of walk(request.oldestEventTimeS)) {
      if (seen === request.limit || expired >= STEP_EVENTS) return { expired, hasMore: true }
      seen += 1
      expired += expireOne(candidate, request)
    }
    return { expired, hasMore: false }
  }
}
