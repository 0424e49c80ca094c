/**
 * Runs the operations of one transaction: all acknowledgements, releases and commits share their statements, however many they
 * are. What is in a group was asked for at the same time, so the kinds may have an order: acknowledgements before commits,
 * since an event that died may be posted again, and both before the others.
 */
import type { AnswerOf, Operation, OperationKind, RequestOf } from '../engine/operations.ts'
import type { Sealer } from '../../vault/seal.ts'
import { acknowledgeAll, releaseAll } from './acknowledge.ts'
import { addAudit, hideIds, readAudit } from './audit.ts'
import { commitAll } from './commit.ts'
import { purge, replay, searchDeadLetters } from './dead-letters.ts'
import { erase } from './erase.ts'
import { expire } from './expire.ts'
import { lease } from './lease.ts'
import { reseal } from './reseal.ts'
import type { Steps } from './sql.ts'
import { readBacklog, readTotals } from './totals.ts'
import { readFresh, searchTrailStep } from './trail-search.ts'
import type { TrailTail } from './trail-tail.ts'
import type { TrailWriter } from './trail.ts'
import type { Transaction } from './transaction.ts'
import { trim } from './trim.ts'
import { nextPosition } from './walk.ts'
import { probeWrite } from './write-watch.ts'

type Handler<Context, K extends OperationKind> = (
  context: Context,
  request: RequestOf<K>,
) => Steps<AnswerOf<K>>

const CHANGES: { readonly [K in OperationKind]?: Handler<Transaction, K> } = {
  lease,
  replay,
  purge,
  expire,
  trim,
  erase,
  reseal,
  *addAudit({ sealer }, entry) {
    yield* addAudit({ ...entry, details: hideIds(sealer, entry.details) })
  },
  *trimDedupe({ dedupe }, { seenBeforeMs, from }) {
    const after = yield* dedupe.trim({ seenBeforeMs, after: from.at ?? 0 })
    return { next: nextPosition(from, after, ['dedupe']) }
  },
  probeWrite,
}

interface ReadContext {
  readonly sealer: Sealer
  readonly tail: TrailTail
  /** Undefined where all rows are written. */
  readonly trail?: Pick<TrailWriter, 'rows'>
}

/** They need no transaction; in one, all else must be written before. */
const READS: { readonly [K in OperationKind]?: Handler<ReadContext, K> } = {
  backlog: () => readBacklog(),
  totals: (_, filter) => readTotals(filter),
  deadLetters: ({ sealer }, request) => searchDeadLetters(sealer, request),
  auditTrail: ({ sealer }, request) => readAudit(sealer, request),
  events: ({ trail }, request) => searchTrailStep(request, trail?.rows() ?? []),
  trailChanges: ({ tail, trail }, position) => readFresh(tail, position, trail?.rows() ?? []),
}

/** Undefined where the operation is no read. */
export function readFor<K extends OperationKind>(
  kind: K,
  context: ReadContext,
  request: RequestOf<K>,
): Steps<AnswerOf<K>> | undefined {
  return READS[kind]?.(context, request)
}

export type Answers = Map<Operation, AnswerOf<OperationKind>>

/** All that changes something; other kinds have no answer. */
export function* runChanges(tx: Transaction, operations: readonly Operation[]): Steps<Answers> {
  const answers: Answers = new Map()
  const of = (kind: OperationKind) => operations.filter((operation) => operation.kind === kind)
  const requestsOf = <K extends OperationKind>(kind: K) =>
    of(kind).map(({ request }) => request as RequestOf<K>)
  yield* acknowledgeAll(tx, requestsOf('acknowledge').flat())
  yield* releaseAll(tx, requestsOf('release').flat())
  const receipts = yield* commitAll(tx, requestsOf('commit'))
  for (const [index, operation] of of('commit').entries()) answers.set(operation, receipts[index])
  for (const operation of operations) {
    const handle = CHANGES[operation.kind] as Handler<Transaction, OperationKind> | undefined
    if (handle !== undefined) answers.set(operation, yield* handle(tx, operation.request))
  }
  return answers
}
