/** Takes a batch: leaves out what was seen before, leases the rest to the caller, and counts. */
import { planCommit } from '../core/commit.ts'
import type { NewBatch, Receipt } from '../store.ts'
import type { QueueTables } from './queue-tables.ts'

export function createCommit(tables: QueueTables): (given: NewBatch) => Receipt {
  const { totals, leases, batches, dedupe, trail, sealer } = tables
  return function commit(given) {
    const batchId = tables.nextBatchId()
    const duplicates: number[] = []
    let pendingDuplicates = 0
    for (const [index, key] of given.keys.entries()) {
      if (dedupe.add(key, batchId, given.receivedAtMs)) continue
      duplicates.push(index)
      // Not so a double of this very batch: its row comes later.
      if (dedupe.isPending(key)) pendingDuplicates += 1
    }
    const { stored, counts } = planCommit(given, batchId, duplicates, sealer)
    totals.count(given, counts)
    if (given.trail) trail.post(batchId, given, given.trail, duplicates)
    if (stored !== undefined) {
      batches.insert(stored.row)
      leases.take(batchId)
    }
    return { batch: stored?.batch, duplicates, pendingDuplicates }
  }
}
