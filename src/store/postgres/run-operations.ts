/**
 * Runs the operations of one transaction. Commits, acknowledgements, releases and counts that do not touch each other
 * share their statements, however many they are; the result is the same as that of one after the other.
 *
 * Apart stay: operations on the same batch, and commits from deaths, since an event that died may be posted again.
 */
import type {
  AcknowledgeRequest,
  AnswerOf,
  Operation,
  OperationKind,
  Outcome,
  ReleaseRequest,
  RequestOf,
} from '../engine/operations.ts'
import { toTravelError } from '../engine/operations.ts'
import { acknowledgeAll, releaseAll } from './acknowledge.ts'
import { addAudit } from './audit.ts'
import { commitAll } from './commit.ts'
import { purge, replay, trim } from './dead-letters.ts'
import { trimDedupeStep } from './dedupe.ts'
import { expire } from './expire.ts'
import { reseal } from './keys.ts'
import { lease } from './lease.ts'
import type { Transaction } from './transaction.ts'

type Alone =
  | 'lease'
  | 'replay'
  | 'purge'
  | 'expire'
  | 'trimDeadLetters'
  | 'addAudit'
  | 'reseal'
  | 'trimDedupe'

const ALONE: { readonly [K in Alone]: (tx: Transaction, request: RequestOf<K>) => Promise<AnswerOf<K>> } = {
  lease,
  replay,
  purge,
  expire,
  trimDeadLetters: trim,
  reseal,
  addAudit: async ({ client }, entry) => void (await addAudit(client, entry)),
  async trimDedupe({ client }, { seenBeforeMs, after }) {
    const afterKey = after.table === 'tree' ? after.afterKey : new Uint8Array(0)
    const next = await trimDedupeStep(client, seenBeforeMs, afterKey)
    return next && { table: 'tree', afterKey: next }
  },
}

const TOGETHER: ReadonlySet<OperationKind> = new Set(['commit', 'acknowledge', 'release', 'countInvalid'])

export async function runOperations(
  tx: Transaction,
  operations: readonly Operation[],
): Promise<ReadonlyMap<Operation, Outcome>> {
  const outcomes = new Map<Operation, Outcome>()
  for (const phase of phasesOf(operations)) {
    const [first] = phase
    if (TOGETHER.has(first!.kind)) await runTogether(tx, phase, outcomes)
    else outcomes.set(first!, { status: 'done', answer: await runAlone(tx, first!) })
  }
  return outcomes
}

async function runAlone(tx: Transaction, { kind, request }: Operation): Promise<AnswerOf<OperationKind>> {
  const handle = ALONE[kind as Alone] as (tx: Transaction, request: unknown) => Promise<AnswerOf<Alone>>
  return handle(tx, request)
}

async function runTogether(
  tx: Transaction,
  operations: readonly Operation[],
  outcomes: Map<Operation, Outcome>,
): Promise<void> {
  const of = <K extends OperationKind>(kind: K) =>
    operations
      .filter((operation) => operation.kind === kind)
      .map((operation) => ({ operation, request: operation.request as RequestOf<K> }))
  const requestsOf = <K extends OperationKind>(kind: K) => of(kind).map(({ request }) => request)
  for (const operation of operations) outcomes.set(operation, { status: 'done', answer: undefined })
  const receipts = await commitAll(tx, requestsOf('commit'))
  for (const [index, { operation }] of of('commit').entries()) {
    outcomes.set(operation, { status: 'done', answer: receipts[index]! })
  }
  const errors = await acknowledgeAll(tx, requestsOf('acknowledge'))
  for (const [index, { operation }] of of('acknowledge').entries()) {
    const error = errors[index]
    if (error !== undefined) outcomes.set(operation, { status: 'refused', error: toTravelError(error) })
  }
  await releaseAll(tx, requestsOf('release'))
  for (const { invalidCount, ...queue } of requestsOf('countInvalid')) {
    tx.totals.count(queue, { invalid: invalidCount })
  }
}

/** Each is of operations that can be done together, or a single one. */
function phasesOf(operations: readonly Operation[]): Operation[][] {
  const phases: Operation[][] = []
  const touched = new Set<number>()
  let hasCommits = false
  let hasDeaths = false
  let isOpen = false
  for (const operation of operations) {
    const isTogether = TOGETHER.has(operation.kind)
    const batchIds = batchIdsOf(operation)
    const isCommit = operation.kind === 'commit'
    const isDeath = bringsDeath(operation)
    const fits =
      isOpen &&
      isTogether &&
      !(isCommit && hasDeaths) &&
      !(isDeath && hasCommits) &&
      !batchIds.some((batchId) => touched.has(batchId))
    if (fits) phases.at(-1)!.push(operation)
    else {
      phases.push([operation])
      touched.clear()
      hasCommits = false
      hasDeaths = false
      isOpen = isTogether
    }
    for (const batchId of batchIds) touched.add(batchId)
    hasCommits ||= isCommit
    hasDeaths ||= isDeath
  }
  return phases
}

function batchIdsOf({ kind, request }: Operation): readonly number[] {
  if (kind === 'acknowledge') {
    const { wholeBatchIds, others } = request as AcknowledgeRequest
    return [...wholeBatchIds, ...others.map(({ batchId }) => batchId)]
  }
  if (kind === 'release') return (request as ReleaseRequest).batches.map(({ batchId }) => batchId)
  return []
}

function bringsDeath({ kind, request }: Operation): boolean {
  return kind === 'acknowledge' && (request as AcknowledgeRequest).others.some(({ dead }) => dead.length > 0)
}
