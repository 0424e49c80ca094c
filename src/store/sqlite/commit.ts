/** Takes a parcel: leaves out what was seen before, seals the rest, leases it to the caller, and counts. */
import { bindParcel, dedupeKey } from '../letter.ts'
import { omitEvents } from '../payload.ts'
import type { Receipt } from '../store.ts'
import type { CommitRequest } from './protocol.ts'
import type { Queue } from './queue.ts'

export function createCommit(queue: Queue): (request: CommitRequest) => Receipt {
  const { db, lanes, leases, sealer } = queue
  const insertQueue = db.prepare(
    `INSERT INTO queue (lane_id, is_replay, oldest_event_time_s, parcel_id, size_bytes, event_count, pending_count,
       attempts, received_at_ms)
     VALUES (?, 0, ?, ?, ?, ?, ?, 0, ?)`,
  )
  const insertPayload = db.prepare(
    'INSERT INTO payloads (parcel_id, lane_id, is_replay, oldest_event_time_s, sealed) VALUES (?, ?, 0, ?, ?)',
  )

  return function commit(request) {
    const { adAccountId, eventTimesS, receivedAtMs, refusedCount } = request
    const laneId = lanes.idOf(request)
    const parcelId = queue.nextParcelId()
    const { duplicates, pendingDuplicates } = findDuplicates(queue, request, parcelId)
    const received = eventTimesS.length
    const counts = { received, duplicate: duplicates.length, refused: refusedCount }
    const payload = omitEvents(request.payload, duplicates)
    const count = received - duplicates.length
    if (count === 0 || payload === undefined) {
      lanes.count(laneId, counts)
      return { parcelId: undefined, duplicates, pendingDuplicates }
    }

    const oldestEventTimeS = findOldest(eventTimesS, duplicates)
    insertPayload.run(parcelId, laneId, oldestEventTimeS, sealer.seal(payload, bindParcel(adAccountId)))
    insertQueue.run(laneId, oldestEventTimeS, parcelId, payload.byteLength, count, count, receivedAtMs)
    const place = { laneId, isReplay: false, oldestEventTimeS }
    const sizeBytes = payload.byteLength
    leases.take(parcelId, { ...place, attempts: 0, history: null, whole: { pendingCount: count, sizeBytes } })
    lanes.count(laneId, { ...counts, queued: count, parcels: 1, bytes: sizeBytes })
    return { parcelId, duplicates, pendingDuplicates }
  }
}

/** Test events are never duplicates: a developer posts the same one again and again and wants an answer each time. */
function findDuplicates(queue: Queue, request: CommitRequest, parcelId: number): Omit<Receipt, 'parcelId'> {
  const { adAccountId, isTest, identities, eventTimesS, receivedAtMs } = request
  const duplicates: number[] = []
  let pendingDuplicates = 0
  if (isTest) return { duplicates, pendingDuplicates }
  for (let index = 0; index < eventTimesS.length; index++) {
    // Doubles inside the parcel are found as well: the first one is there when the second one comes.
    const key = dedupeKey(adAccountId, identities[2 * index]!, identities[2 * index + 1]!)
    if (queue.seen.add(key, parcelId, receivedAtMs)) continue
    duplicates.push(index)
    // Not so a double of this very parcel: its payload comes later.
    if (queue.seen.isPending(key)) pendingDuplicates += 1
  }
  return { duplicates, pendingDuplicates }
}

function findOldest(eventTimesS: readonly number[], duplicates: readonly number[]): number {
  const omitted = new Set(duplicates)
  let oldest = Infinity
  for (let index = 0; index < eventTimesS.length; index++) {
    const timeS = eventTimesS[index]!
    if (timeS < oldest && !omitted.has(index)) oldest = timeS
  }
  return oldest
}
