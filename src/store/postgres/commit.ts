/**
 * Stores batches, a few statements for all of a transaction: leaves out duplicates, and leases the rest to this replica.
 */
import { listKeys, planCommit } from '../core/commit.ts'
import type { CommitAnswer, CommitRequest } from '../engine/operations.ts'
import { insertBatches } from './batches.ts'
import { claimKeys, findPending } from './dedupe.ts'
import type { Transaction } from './transaction.ts'

export async function commitAll(
  tx: Transaction,
  requests: readonly CommitRequest[],
): Promise<readonly CommitAnswer[]> {
  const candidates = requests.map((request) => ({
    request,
    batchId: tx.nextBatchId(),
    keys: listKeys(request),
  }))
  const claimed = await claimKeys(
    tx.client,
    candidates.flatMap(({ request: { receivedAtMs: seenAtMs }, batchId, keys }) =>
      keys.map((key) => ({ key, batchId, seenAtMs })),
    ),
  )
  const planned = candidates.map(({ request, batchId, keys }) => {
    const duplicates = keys.flatMap((key, index) => (claimed.take(key) ? [] : [index]))
    const { row, counts } = planCommit(request, batchId, duplicates, tx.sealer)
    tx.totals.count(request, counts)
    return { row, batchId, duplicates, repeated: duplicates.map((index) => keys[index]!) }
  })
  await insertBatches(
    tx,
    planned.flatMap(({ row }) => row ?? []),
    'leased',
  )
  const pendingIn = await findPending(
    tx.client,
    planned.flatMap(({ repeated }) => repeated),
  )
  return planned.map(({ row, batchId, duplicates, repeated }) => {
    // A duplicate within its own batch repeats no earlier event.
    const isPending = (key: Uint8Array) => ![undefined, batchId].includes(pendingIn(key))
    const pendingDuplicates = repeated.filter(isPending).length
    return { batchId: row && batchId, duplicates, pendingDuplicates }
  })
}
