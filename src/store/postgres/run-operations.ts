/**
 * Runs the operations of one transaction: all acknowledgements, releases and commits share their statements, however many they
 * are. Operations of a group were submitted at the same time, so they may run by kind: acknowledgements before commits, since an
 * event that died may be posted again, and reads last.
 */
import type { AnswerOf, Operation, OperationKind, Outcome, RequestOf } from '../engine/operations.ts'
import { acknowledgeAll, releaseAll } from './acknowledge.ts'
import { addAudit } from './audit.ts'
import { commitAll } from './commit.ts'
import { purge, replay, trim } from './dead-letters.ts'
import { trimDedupe } from './dedupe.ts'
import { erase } from './erase.ts'
import { expire } from './expire.ts'
import { reseal } from './keys.ts'
import { lease } from './lease.ts'
import { trimTrail } from './trail.ts'
import type { Transaction } from './transaction.ts'

type Alone =
  | 'countInvalid'
  | 'lease'
  | 'replay'
  | 'purge'
  | 'expire'
  | 'trimDeadLetters'
  | 'trimTrail'
  | 'erase'
  | 'addAudit'
  | 'reseal'
  | 'trimDedupe'

const ALONE: { readonly [K in Alone]: (tx: Transaction, request: RequestOf<K>) => Promise<AnswerOf<K>> } = {
  async countInvalid({ totals, trail, nextBatchId }, post) {
    totals.count(post, { invalid: post.invalidCount })
    if (post.trail) trail.post(nextBatchId(), post, post.trail, [])
  },
  lease,
  replay,
  purge,
  expire,
  trimDeadLetters: trim,
  trimTrail,
  erase,
  reseal,
  addAudit: async ({ client }, entry) => void (await addAudit(client, entry)),
  trimDedupe,
}

export async function runOperations(
  tx: Transaction,
  operations: readonly Operation[],
): Promise<ReadonlyMap<Operation, Outcome>> {
  const answers = new Map<Operation, AnswerOf<OperationKind>>()
  const of = (kind: OperationKind) => operations.filter((operation) => operation.kind === kind)
  const requestsOf = <K extends OperationKind>(kind: K) =>
    of(kind).map(({ request }) => request as RequestOf<K>)
  await acknowledgeAll(tx, requestsOf('acknowledge').flat())
  await releaseAll(tx, requestsOf('release').flat())
  const receipts = await commitAll(tx, requestsOf('commit'))
  for (const [index, operation] of of('commit').entries()) answers.set(operation, receipts[index])
  for (const operation of operations) {
    if (!(operation.kind in ALONE)) continue
    const run = ALONE[operation.kind as Alone] as (
      tx: Transaction,
      request: unknown,
    ) => Promise<AnswerOf<Alone>>
    answers.set(operation, await run(tx, operation.request))
  }
  return new Map(operations.map((one) => [one, { status: 'done', answer: answers.get(one) }]))
}
