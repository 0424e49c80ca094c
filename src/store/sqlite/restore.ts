/**
 * Puts what was recovered into the queue, one bounded step per transaction: events that are there or were delivered are
 * duplicates, as in any post. What was taken of a file is written down with each step, so that it can be recovered again
 * at any time: nothing of it comes twice, and what could not be read before may come then.
 */
import { createCommit } from './commit.ts'
import { unpackHistory } from '../history.ts'
import type {
  RecoverAnswer,
  RecoveredDeadLetter,
  RecoveredBatch,
  RecoverRequest,
} from '../engine/protocol.ts'
import { bindDeadLetter } from '../dead-letter.ts'
import type { QueueTables } from './queue-tables.ts'
import { createAcknowledgements } from './acknowledge.ts'

export function createRestore(tables: QueueTables): (request: RecoverRequest) => RecoverAnswer {
  const { db, queues, deadLetters, sealer } = tables
  const commit = createCommit(tables)
  const acknowledgements = createAcknowledgements(tables)
  const remember = db.prepare('INSERT OR IGNORE INTO recovered (file, kind, id) VALUES (?, ?, ?)')

  /** Answers how many of its events were seen before. */
  function restoreBatch({ commit: request, attempts, history }: RecoveredBatch): number {
    const { batchId, duplicates } = commit(request)
    if (batchId !== undefined) {
      acknowledgements.release({ batches: [{ batchId, attempts, history: readHistory(history) }] })
    }
    return duplicates.length
  }

  /** In the totals it is what it was: received, and rejected or expired. */
  function restoreDeadLetter(deadLetter: RecoveredDeadLetter): void {
    const { deadLetterId: _, queue, content, ...rest } = deadLetter
    const queueId = queues.idOf(queue)
    const sealed = sealer.seal(content, bindDeadLetter(queue.adAccountId))
    deadLetters.add({ ...rest, queueId, sealed })
    queues.count(queueId, { received: 1, [deadLetter.status]: 1 })
  }

  /** Those that were not taken before. */
  function takeNew<Item>(
    file: string,
    kind: 'batch' | 'dead_letter',
    items: readonly Item[],
    idOf: (item: Item) => number,
  ): Set<Item> {
    return new Set(items.filter((item) => remember.run(file, kind, idOf(item)).changes === 1))
  }

  return function restore({ file, batches, deadLetters }) {
    const freshBatches = takeNew(file, 'batch', batches, ({ batchId }) => batchId)
    const freshDeadLetters = takeNew(file, 'dead_letter', deadLetters, ({ deadLetterId }) => deadLetterId)
    const answer = {
      batches: 0,
      events: 0,
      duplicates: deadLetters.length - freshDeadLetters.size,
      deadLetters: 0,
    }
    for (const batch of batches) {
      const count = batch.commit.eventTimesS.length
      const seenBefore = freshBatches.has(batch) ? restoreBatch(batch) : count
      if (seenBefore < count) answer.batches += 1
      answer.events += count - seenBefore
      answer.duplicates += seenBefore
    }
    for (const deadLetter of freshDeadLetters) restoreDeadLetter(deadLetter)
    answer.deadLetters = freshDeadLetters.size
    return answer
  }
}

/** A damaged page may have spoiled it; it only tells what was tried. */
function readHistory(packed: string | null) {
  try {
    return unpackHistory(packed)
  } catch {
    return []
  }
}
