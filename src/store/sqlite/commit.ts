/** Takes a batch: leaves out what was seen before, leases the rest to the caller, and counts. */
import { listKeys, planCommit } from '../core/commit.ts'
import type { CommitAnswer, CommitRequest } from '../engine/operations.ts'
import type { QueueTables } from './queue-tables.ts'

export function createCommit(tables: QueueTables): (request: CommitRequest) => CommitAnswer {
  const { totals, leases, batches, dedupe, sealer } = tables
  return function commit(request) {
    const batchId = tables.nextBatchId()
    const duplicates: number[] = []
    let pendingDuplicates = 0
    for (const [index, key] of listKeys(request).entries()) {
      if (dedupe.add(key, batchId, request.receivedAtMs)) continue
      duplicates.push(index)
      // Not so a double of this very batch: its row comes later.
      if (dedupe.isPending(key)) pendingDuplicates += 1
    }
    const { row, counts } = planCommit(request, batchId, duplicates, sealer)
    totals.count(request, counts)
    if (row === undefined) return { batchId: undefined, duplicates, pendingDuplicates }
    batches.insert(row)
    leases.take(batchId)
    return { batchId, duplicates, pendingDuplicates }
  }
}
