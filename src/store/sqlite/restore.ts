/**
 * Puts what was recovered into the queue, one bounded step per transaction: events that are there or were delivered are
 * duplicates, as in any post. What was taken of a file is written down with each step, so that it can be recovered again
 * at any time: nothing of it comes twice, and what could not be read before may come then.
 */
import { toQueue } from '../core/rows.ts'
import type { RecoverReport, RecoverRequest } from '../engine/operations.ts'
import { createCommit } from './commit.ts'
import type { QueueTables } from './queue-tables.ts'

export function createRestore(tables: QueueTables): (request: RecoverRequest) => RecoverReport {
  const { db, totals, leases, deadLetters } = tables
  const commit = createCommit(tables)
  const remember = db.prepare('INSERT OR IGNORE INTO recovered (file, kind, id) VALUES (?, ?, ?)')

  return function restore({ file, batches, deadLetters: found, unreadable }) {
    const isNew = (kind: 'batch' | 'dead_letter', id: number) => remember.run(file, kind, id).changes === 1
    const report = { batches: 0, events: 0, duplicates: 0, deadLetters: 0, unreadable }
    for (const { batchId, batch } of batches) {
      const restored = isNew('batch', batchId) ? commit(batch).batch : undefined
      const events = restored?.eventCount ?? 0
      report.events += events
      report.duplicates += batch.events.length - events
      if (restored === undefined) continue
      report.batches += 1
      leases.end(restored.batchId)
    }
    for (const { id, ...row } of found) {
      if (isNew('dead_letter', id)) {
        deadLetters.add(row)
        // In the totals it is what it was: received, and rejected or expired.
        totals.count(toQueue(row), { received: 1, [row.status]: 1 })
        report.deadLetters += 1
      } else report.duplicates += 1
    }
    return report
  }
}
