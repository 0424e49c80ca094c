/**
 * Cuts a group into what can be done together. Commits, acknowledgements, releases and counts that do not touch each other
 * share their statements, however many they are; the result is the same as that of one after the other.
 *
 * Apart stay: operations on the same batch, and commits from deaths, since an event that died may be posted again.
 */
import type { Operation, OperationKind, ReleaseRequest, AcknowledgeRequest } from '../engine/protocol.ts'

const FLOWING: ReadonlySet<OperationKind> = new Set(['commit', 'acknowledge', 'release', 'countInvalid'])

export interface Phase {
  /** Whether they are of the kinds that flow together; or else it is a single one. */
  readonly isFlow: boolean
  readonly operations: Operation[]
}

export function phasesOf(operations: readonly Operation[]): Phase[] {
  const phases: Phase[] = []
  const touched = new Set<number>()
  let hasCommits = false
  let hasDeaths = false
  for (const operation of operations) {
    const isFlow = FLOWING.has(operation.kind)
    const batchIds = batchIdsOf(operation)
    const isCommit = operation.kind === 'commit'
    const isDeath = bringsDeath(operation)
    const last = phases.at(-1)
    const fits =
      last?.isFlow === true &&
      isFlow &&
      !(isCommit && hasDeaths) &&
      !(isDeath && hasCommits) &&
      !batchIds.some((batchId) => touched.has(batchId))
    if (fits) last.operations.push(operation)
    else {
      phases.push({ isFlow, operations: [operation] })
      touched.clear()
      hasCommits = false
      hasDeaths = false
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
