/** Refuses what the queue has no room for, before it is tried; what drains the queue, or only reads, always passes. */
import { EVENT_BYTES, BATCH_BYTES } from './totals.ts'
import type { CommitRequest, Operation, Outcome, RecoverRequest } from '../engine/protocol.ts'
import type { RunOperations } from './queue-file.ts'
import type { Capacity } from './capacity.ts'

const REFUSED: Outcome = {
  status: 'unavailable',
  error: { code: 'STORE_FULL', message: 'the store is full, or the share of the account' },
}
const PAGE_BYTES = 4096

export function runAdmitted(
  operations: readonly Operation[],
  capacity: Capacity,
  run: RunOperations,
): Outcome[] {
  if (!operations.some((operation) => bytesOf(operation) > 0)) return run(operations)
  capacity.look()
  const isAdmitted = operations.map((operation) => {
    const bytes = bytesOf(operation)
    return bytes === 0 || capacity.admits(bytes, accountOf(operation))
  })
  const outcomes = run(operations.filter((_, index) => isAdmitted[index])).values()
  return isAdmitted.map((admitted) => (admitted ? outcomes.next().value! : REFUSED))
}

function accountOf({ kind, request }: Operation): string | undefined {
  return kind === 'commit' ? (request as CommitRequest).adAccountId : undefined
}

function bytesOf({ kind, request }: Operation): number {
  if (kind === 'commit') return bytesOfCommit(request as CommitRequest)
  if (kind !== 'recover') return 0
  const { batches, deadLetters } = request as RecoverRequest
  const batchBytes = batches.reduce((sum, { commit }) => sum + bytesOfCommit(commit), 0)
  return deadLetters.reduce((sum, { sealed }) => sum + sealed.byteLength + BATCH_BYTES, batchBytes)
}

function bytesOfCommit({ payload, eventTimesS }: CommitRequest): number {
  const { byteLength } = payload
  // What does not fit into a row goes to pages of its own, of which the last is rarely full.
  const payloadBytes =
    byteLength < PAGE_BYTES / 2 ? byteLength : Math.ceil(byteLength / PAGE_BYTES) * PAGE_BYTES
  return payloadBytes + BATCH_BYTES + EVENT_BYTES * eventTimesS.length
}
