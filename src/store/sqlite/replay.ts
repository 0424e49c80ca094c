/**
 * Queues dead letters again, or deletes them, one bounded step per transaction: a dead letter is gone and its batch is there,
 * and both are counted and told in the audit, or none of it.
 */
import { bytesOfDeadLetter } from '../share.ts'
import type { PurgeRequest, PurgeStep, ReplayRequest, ReplayStep } from '../store.ts'
import type { Audit } from './audit.ts'
import { bindBatch, dedupeKey, openDeadLetter } from '../dead-letter.ts'
import { packHistory, unpackHistory } from '../history.ts'
import type { DeadLetterRow, DeadLetterWalk } from './dead-letter-search.ts'
import type { QueueTables } from './queue-tables.ts'

export interface DeadLetterTools {
  readonly walk: DeadLetterWalk
  readonly audit: Audit
}

/** `unreadable`: no key opens it; it stays where it is. */
type Fate = 'replayed' | 'duplicate' | 'too_old' | 'unreadable'

export function createReplay(
  tables: QueueTables,
  { walk, audit }: DeadLetterTools,
): (request: ReplayRequest) => ReplayStep {
  const { db, queues, deadLetters, dedupe, sealer, report } = tables
  const insertQueue = db.prepare(
    `INSERT INTO batches (queue_id, is_replay, oldest_event_time_s, batch_id, size_bytes, event_count, pending_count,
       attempts, received_at_ms, history)
     VALUES ($queueId, 1, $eventTimeS, $batchId, $sizeBytes, 1, 1, $attempts, $firstSeenAtMs, $history)`,
  )
  const insertPayload = db.prepare(
    'INSERT INTO payloads (batch_id, queue_id, is_replay, oldest_event_time_s, sealed) VALUES (?, ?, 1, ?, ?)',
  )

  /** Answers the bytes of its payload. */
  function addBatch(row: DeadLetterRow, batchId: number, json: string, nowMs: number): number {
    const { queueId, eventTimeS, attempts, firstSeenAtMs, history: before } = row
    const { adAccountId } = queues.keyOf(queueId)
    const payload = Buffer.from(json, 'utf8')
    const history = packHistory([...unpackHistory(before), { atMs: nowMs, reason: 'replayed' }])
    insertPayload.run(batchId, queueId, eventTimeS, sealer.seal(payload, bindBatch(adAccountId)))
    const sizeBytes = payload.byteLength
    insertQueue.run({ queueId, eventTimeS, batchId, sizeBytes, attempts, firstSeenAtMs, history })
    return sizeBytes
  }

  function replayOne(row: DeadLetterRow, { oldestEventTimeS, nowMs }: ReplayRequest): Fate {
    const { id: deadLetterId, queueId, eventName, eventId, eventTimeS, status } = row
    const queue = queues.keyOf(queueId)
    const { adAccountId, isTest } = queue
    if (!isTest && eventTimeS < oldestEventTimeS) return 'too_old'
    const deadLetter = openDeadLetter(sealer, adAccountId, row.sealed)
    if (deadLetter === undefined) {
      report({ problem: 'dead_letter_unreadable', queue, deadLetterId })
      return 'unreadable'
    }
    const batchId = tables.nextBatchId()
    deadLetters.remove(deadLetterId, queueId, bytesOfDeadLetter(row))
    if (isTest || dedupe.add(dedupeKey(adAccountId, eventName, eventId), batchId, nowMs)) {
      const bytes = addBatch(row, batchId, deadLetter.json, nowMs)
      queues.count(queueId, { [status]: -1, queued: 1, batches: 1, bytes })
      return 'replayed'
    }
    queues.count(queueId, { [status]: -1, duplicate: 1 })
    return 'duplicate'
  }

  return function replay(request) {
    const { rows, beforeId } = walk(request)
    const counts = { replayed: 0, duplicates: 0, too_old: 0 }
    const queueIds = new Set<number>()
    for (const row of rows) {
      const fate = replayOne(row, request)
      if (fate === 'replayed') {
        counts.replayed += 1
        queueIds.add(row.queueId)
      } else if (fate === 'duplicate') counts.duplicates += 1
      else if (fate === 'too_old') counts.too_old += 1
    }
    const { auditId, nowMs } = request
    return {
      auditId: audit.count({ auditId, action: 'replay', filter: request, counts, nowMs }),
      replayed: counts.replayed,
      duplicates: counts.duplicates,
      tooOld: counts.too_old,
      queues: [...queueIds].map((queueId) => queues.keyOf(queueId)),
      beforeId,
    }
  }
}

/** Also what no key opens. */
export function createPurge(
  { deadLetters }: QueueTables,
  { walk, audit }: DeadLetterTools,
): (request: PurgeRequest) => PurgeStep {
  return function purge(request) {
    const { rows, beforeId } = walk(request)
    for (const row of rows) deadLetters.remove(row.id, row.queueId, bytesOfDeadLetter(row))
    const { auditId, nowMs } = request
    const purged = rows.length
    return {
      auditId: audit.count({ auditId, action: 'purge', filter: request, counts: { purged }, nowMs }),
      purged,
      beforeId,
    }
  }
}
