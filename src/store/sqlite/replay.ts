/**
 * Queues dead letters again, or deletes them, one bounded step per transaction: a dead letter is gone and its batch is there,
 * and both are counted and told in the audit, or none of it.
 */
import { countRaised, raise, summarizeReplay, trailOfReplay, type Raised } from '../core/dead-letters.ts'
import { toQueue } from '../core/rows.ts'
import type { PurgeRequest, PurgeStep, ReplayRequest, ReplayStep } from '../store.ts'
import { purgeStep, replayStep } from '../core/audit.ts'
import type { Audit } from './audit.ts'
import type { QueueTables } from './queue-tables.ts'

export function createReplay(tables: QueueTables, audit: Audit): (request: ReplayRequest) => ReplayStep {
  const { totals, batches, deadLetters, dedupe, trail, sealer, report } = tables

  /** Answers whether it is queued. */
  function queueAgain(raised: Raised, nowMs: number): boolean {
    const { deadLetter, key, batch } = raised
    deadLetters.remove(deadLetter)
    const isQueued = key === undefined || dedupe.add(key, batch.batch_id, nowMs)
    if (isQueued) batches.insert(batch)
    totals.count(toQueue(batch), countRaised(raised, isQueued))
    trail.post(batch.batch_id, toQueue(batch), trailOfReplay(deadLetter, nowMs), isQueued ? [] : [0])
    return isQueued
  }

  return function replay(request) {
    const { rows, beforeId } = deadLetters.find(request)
    const queued = new Set<Raised>()
    const decided = rows.map((row) => {
      const raised = raise(row, request, sealer, tables.nextBatchId)
      if (raised === 'unreadable') {
        report({ problem: 'dead_letter_unreadable', queue: toQueue(row), deadLetterId: row.id })
      } else if (raised !== 'too_old' && queueAgain(raised, request.nowMs)) queued.add(raised)
      return raised
    })
    const summary = summarizeReplay(decided, queued)
    return { auditId: audit.count(replayStep(request, summary)), ...summary, beforeId }
  }
}

/** Also what no key opens. */
export function createPurge(
  { deadLetters }: QueueTables,
  audit: Audit,
): (request: PurgeRequest) => PurgeStep {
  return function purge(request) {
    const { rows, beforeId } = deadLetters.find(request)
    for (const row of rows) deadLetters.remove(row)
    return { auditId: audit.count(purgeStep(request, rows.length)), purged: rows.length, beforeId }
  }
}
