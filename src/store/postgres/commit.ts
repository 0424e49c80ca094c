/**
 * Stores batches, a few statements for all of a transaction: leaves out duplicates, and leases the rest to this replica.
 */
import { planCommit } from '../core/commit.ts'
import type { NewBatch, Receipt } from '../store.ts'
import { insertBatches } from './batches.ts'
import { claimKeys, findPending } from './dedupe.ts'
import type { Transaction } from './transaction.ts'

export async function commitAll(tx: Transaction, given: readonly NewBatch[]): Promise<readonly Receipt[]> {
  const candidates = given.map((one) => ({ given: one, batchId: tx.nextBatchId() }))
  const claimed = await claimKeys(
    tx.client,
    candidates.flatMap(({ given: { receivedAtMs: seenAtMs, keys }, batchId }) =>
      keys.map((key) => ({ key, batchId, seenAtMs })),
    ),
  )
  const planned = candidates.map(({ given: one, batchId }) => {
    const duplicates = one.keys.flatMap((key, index) => (claimed.take(key) ? [] : [index]))
    const { stored, counts } = planCommit(one, batchId, duplicates, tx.sealer)
    tx.totals.count(one, counts)
    if (one.trail) tx.trail.post(batchId, one, one.trail, duplicates)
    return { stored, batchId, duplicates, repeated: duplicates.map((index) => one.keys[index]!) }
  })
  await insertBatches(
    tx,
    planned.flatMap(({ stored }) => stored?.row ?? []),
    'leased',
  )
  const pendingIn = await findPending(
    tx.client,
    planned.flatMap(({ repeated }) => repeated),
  )
  return planned.map(({ stored, batchId, duplicates, repeated }) => {
    // A duplicate within its own batch repeats no earlier event.
    const isPending = (key: Uint8Array) => ![undefined, batchId].includes(pendingIn(key))
    const pendingDuplicates = repeated.filter(isPending).length
    return { batch: stored?.batch, duplicates, pendingDuplicates }
  })
}
