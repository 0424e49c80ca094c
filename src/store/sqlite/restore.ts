/**
 * Puts what was recovered into the queue, one bounded step per transaction: events that are there or were delivered are
 * duplicates, as in any post. What was taken of a file is written down with each step, so that it can be recovered again
 * at any time: nothing of it comes twice, and what could not be read before may come then.
 */
import { unpackHistory } from '../core/history.ts'
import { resealRows } from '../core/reseal.ts'
import { toQueue } from '../core/rows.ts'
import { bindDeadLetter } from '../core/sealed.ts'
import type {
  RecoverAnswer,
  RecoveredBatch,
  RecoverRequest,
  RecoveredDeadLetter,
} from '../engine/operations.ts'
import { createAcknowledgements } from './acknowledge.ts'
import { createCommit } from './commit.ts'
import type { QueueTables } from './queue-tables.ts'

export function createRestore(tables: QueueTables): (request: RecoverRequest) => RecoverAnswer {
  const { db, totals, deadLetters, sealer } = tables
  const commit = createCommit(tables)
  const acknowledgements = createAcknowledgements(tables)
  const remember = db.prepare('INSERT OR IGNORE INTO recovered (file, kind, id) VALUES (?, ?, ?)')
  const isNew = (file: string, kind: 'batch' | 'dead_letter', id: number) =>
    remember.run(file, kind, id).changes === 1

  /** Answers how many of its events were seen before. */
  function restoreBatch({ commit: request, attempts, history }: RecoveredBatch): number {
    const { batch, duplicates } = commit(request)
    if (batch !== undefined) {
      acknowledgements.release([{ batchId: batch.batchId, attempts, history: readHistory(history) }])
    }
    return duplicates.length
  }

  /** In the totals it is what it was: received, and rejected or expired. */
  function restoreDeadLetters(found: readonly RecoveredDeadLetter[]): void {
    // An older master key may have sealed them.
    const resealed = new Map(resealRows(found, bindDeadLetter, sealer).map(({ id, sealed }) => [id, sealed]))
    for (const { id, ...row } of found) {
      deadLetters.add({ ...row, sealed: resealed.get(id) ?? row.sealed })
      totals.count(toQueue(row), { received: 1, [row.status]: 1 })
    }
  }

  return function restore({ file, batches, deadLetters: found }) {
    const answer = { batches: 0, events: 0, duplicates: 0, deadLetters: 0 }
    for (const batch of batches) {
      const count = batch.commit.events.length
      const seenBefore = isNew(file, 'batch', batch.batchId) ? restoreBatch(batch) : count
      if (seenBefore < count) answer.batches += 1
      answer.events += count - seenBefore
      answer.duplicates += seenBefore
    }
    const fresh = found.filter(({ id }) => isNew(file, 'dead_letter', id))
    restoreDeadLetters(fresh)
    answer.deadLetters = fresh.length
    answer.duplicates += found.length - fresh.length
    return answer
  }
}

/** Damaged JSON is dropped: the history is only information. */
function readHistory(packed: string | null) {
  try {
    return unpackHistory(packed)
  } catch {
    return []
  }
}
