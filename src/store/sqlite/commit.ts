/** Takes a batch: leaves out what was seen before, seals the rest, leases it to the caller, and counts. */
import { bindBatch, dedupeKey } from '../dead-letter.ts'
import { omitEvents } from '../payload.ts'
import type { CommitAnswer, CommitRequest } from '../engine/protocol.ts'
import type { QueueTables } from './queue-tables.ts'

export function createCommit(tables: QueueTables): (request: CommitRequest) => CommitAnswer {
  const { db, queues, leases, sealer } = tables
  const insertQueue = db.prepare(
    `INSERT INTO batches (queue_id, is_replay, oldest_event_time_s, batch_id, size_bytes, event_count, pending_count,
       attempts, received_at_ms)
     VALUES (?, 0, ?, ?, ?, ?, ?, 0, ?)`,
  )
  const insertPayload = db.prepare(
    'INSERT INTO payloads (batch_id, queue_id, is_replay, oldest_event_time_s, sealed) VALUES (?, ?, 0, ?, ?)',
  )

  return function commit(request) {
    const { adAccountId, eventTimesS, receivedAtMs, invalidCount, filteredCount } = request
    const queueId = queues.idOf(request)
    const batchId = tables.nextBatchId()
    const { duplicates, pendingDuplicates } = findDuplicates(tables, request, batchId)
    const counts = {
      received: eventTimesS.length + filteredCount,
      filtered: filteredCount,
      duplicate: duplicates.length,
      invalid: invalidCount,
    }
    const payload = omitEvents(request.payload, duplicates)
    const count = eventTimesS.length - duplicates.length
    if (count === 0 || payload === undefined) {
      queues.count(queueId, counts)
      return { batchId: undefined, duplicates, pendingDuplicates }
    }

    const oldestEventTimeS = findOldest(eventTimesS, duplicates)
    insertPayload.run(batchId, queueId, oldestEventTimeS, sealer.seal(payload, bindBatch(adAccountId)))
    insertQueue.run(queueId, oldestEventTimeS, batchId, payload.byteLength, count, count, receivedAtMs)
    const place = { queueId, isReplay: false, oldestEventTimeS }
    const sizeBytes = payload.byteLength
    leases.take(batchId, { ...place, attempts: 0, history: null, whole: { pendingCount: count, sizeBytes } })
    queues.count(queueId, { ...counts, queued: count, batches: 1, bytes: sizeBytes })
    return { batchId, duplicates, pendingDuplicates }
  }
}

/** Test events are never duplicates: a developer posts the same one again and again and wants an answer each time. */
function findDuplicates(
  tables: QueueTables,
  request: CommitRequest,
  batchId: number,
): Omit<CommitAnswer, 'batchId'> {
  const { adAccountId, isTest, identities, eventTimesS, receivedAtMs } = request
  const duplicates: number[] = []
  let pendingDuplicates = 0
  if (isTest) return { duplicates, pendingDuplicates }
  for (let index = 0; index < eventTimesS.length; index++) {
    // Doubles inside the batch are found as well: the first one is there when the second one comes.
    const key = dedupeKey(adAccountId, identities[2 * index]!, identities[2 * index + 1]!)
    if (tables.dedupe.add(key, batchId, receivedAtMs)) continue
    duplicates.push(index)
    // Not so a double of this very batch: its payload comes later.
    if (tables.dedupe.isPending(key)) pendingDuplicates += 1
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
