/**
 * Cuts a batch into what can be done together. Commits, settlements, releases and counts that do not touch each other
 * share their statements, however many they are; the result is the same as that of one after the other.
 *
 * Apart stay: operations on the same parcel, and commits from deaths, since an event that died may be posted again.
 */
import type { Operation, OperationKind, ReleaseRequest, SettleRequest } from '../sqlite/protocol.ts'

const FLOWING: ReadonlySet<OperationKind> = new Set(['commit', 'settle', 'release', 'countRefused'])

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
    const parcelIds = parcelIdsOf(operation)
    const isCommit = operation.kind === 'commit'
    const isDeath = bringsDeath(operation)
    const last = phases.at(-1)
    const fits =
      last?.isFlow === true &&
      isFlow &&
      !(isCommit && hasDeaths) &&
      !(isDeath && hasCommits) &&
      !parcelIds.some((parcelId) => touched.has(parcelId))
    if (fits) last.operations.push(operation)
    else {
      phases.push({ isFlow, operations: [operation] })
      touched.clear()
      hasCommits = false
      hasDeaths = false
    }
    for (const parcelId of parcelIds) touched.add(parcelId)
    hasCommits ||= isCommit
    hasDeaths ||= isDeath
  }
  return phases
}

function parcelIdsOf({ kind, request }: Operation): readonly number[] {
  if (kind === 'settle') {
    const { wholeParcelIds, others } = request as SettleRequest
    return [...wholeParcelIds, ...others.map(({ parcelId }) => parcelId)]
  }
  if (kind === 'release') return (request as ReleaseRequest).parcels.map(({ parcelId }) => parcelId)
  return []
}

function bringsDeath({ kind, request }: Operation): boolean {
  return kind === 'settle' && (request as SettleRequest).others.some(({ dead }) => dead.length > 0)
}
