/**
 * Queues dead letters again, or deletes them, one bounded step per transaction: a letter is gone and its parcel is there,
 * and both are counted and told in the audit, or none of it.
 */
import { bytesOfLetter } from '../share.ts'
import type { PurgeRequest, PurgeStep, ReplayRequest, ReplayStep } from '../store.ts'
import type { Audit } from './audit.ts'
import { bindParcel, dedupeKey, openLetter } from '../letter.ts'
import { packHistory, unpackHistory } from '../history.ts'
import type { LetterRow, LetterWalk } from './letter-search.ts'
import type { Queue } from './queue.ts'

export interface LetterTools {
  readonly walk: LetterWalk
  readonly audit: Audit
}

/** `unreadable`: no key opens it; it stays where it is. */
type Fate = 'replayed' | 'duplicate' | 'too_old' | 'unreadable'

export function createReplay(
  queue: Queue,
  { walk, audit }: LetterTools,
): (request: ReplayRequest) => ReplayStep {
  const { db, lanes, letters, seen, sealer, report } = queue
  const insertQueue = db.prepare(
    `INSERT INTO queue (lane_id, is_replay, oldest_event_time_s, parcel_id, size_bytes, event_count, pending_count,
       attempts, received_at_ms, history)
     VALUES ($laneId, 1, $eventTimeS, $parcelId, $sizeBytes, 1, 1, $attempts, $firstSeenAtMs, $history)`,
  )
  const insertPayload = db.prepare(
    'INSERT INTO payloads (parcel_id, lane_id, is_replay, oldest_event_time_s, sealed) VALUES (?, ?, 1, ?, ?)',
  )

  /** Answers the bytes of its payload. */
  function addParcel(row: LetterRow, parcelId: number, json: string, nowMs: number): number {
    const [, laneId, , , eventTimeS, , , attempts, firstSeenAtMs, , before] = row
    const { adAccountId } = lanes.keyOf(laneId)
    const payload = Buffer.from(json, 'utf8')
    const history = packHistory([...unpackHistory(before), { atMs: nowMs, reason: 'replayed' }])
    insertPayload.run(parcelId, laneId, eventTimeS, sealer.seal(payload, bindParcel(adAccountId)))
    const sizeBytes = payload.byteLength
    insertQueue.run({ laneId, eventTimeS, parcelId, sizeBytes, attempts, firstSeenAtMs, history })
    return sizeBytes
  }

  function replayOne(row: LetterRow, { oldestEventTimeS, nowMs }: ReplayRequest): Fate {
    const [letterId, laneId, eventName, eventId, eventTimeS, status] = row
    const lane = lanes.keyOf(laneId)
    const { adAccountId, isTest } = lane
    if (!isTest && eventTimeS < oldestEventTimeS) return 'too_old'
    const letter = openLetter(sealer, adAccountId, row[11])
    if (letter === undefined) {
      report({ problem: 'letter_unreadable', lane, letterId })
      return 'unreadable'
    }
    const parcelId = queue.nextParcelId()
    letters.remove(letterId, laneId, bytesOfRow(row))
    if (isTest || seen.add(dedupeKey(adAccountId, eventName, eventId), parcelId, nowMs)) {
      const bytes = addParcel(row, parcelId, letter.json, nowMs)
      lanes.count(laneId, { [status]: -1, queued: 1, parcels: 1, bytes })
      return 'replayed'
    }
    lanes.count(laneId, { [status]: -1, duplicate: 1 })
    return 'duplicate'
  }

  return function replay(request) {
    const { rows, beforeId } = walk(request)
    const counts = { replayed: 0, duplicates: 0, too_old: 0 }
    const laneIds = new Set<number>()
    for (const row of rows) {
      const fate = replayOne(row, request)
      if (fate === 'replayed') {
        counts.replayed += 1
        laneIds.add(row[1])
      } else if (fate === 'duplicate') counts.duplicates += 1
      else if (fate === 'too_old') counts.too_old += 1
    }
    const { auditId, nowMs } = request
    return {
      auditId: audit.count({ auditId, action: 'replay', filter: request, counts, nowMs }),
      replayed: counts.replayed,
      duplicates: counts.duplicates,
      tooOld: counts.too_old,
      lanes: [...laneIds].map((laneId) => lanes.keyOf(laneId)),
      beforeId,
    }
  }
}

function bytesOfRow([, , eventName, eventId, , , , , , , history, sealed]: LetterRow): number {
  return bytesOfLetter({ eventName, eventId, history, sealed })
}

/** Also what no key opens. */
export function createPurge(
  { letters }: Queue,
  { walk, audit }: LetterTools,
): (request: PurgeRequest) => PurgeStep {
  return function purge(request) {
    const { rows, beforeId } = walk(request)
    for (const row of rows) letters.remove(row[0], row[1], bytesOfRow(row))
    const { auditId, nowMs } = request
    const purged = rows.length
    return {
      auditId: audit.count({ auditId, action: 'purge', filter: request, counts: { purged }, nowMs }),
      purged,
      beforeId,
    }
  }
}
