/** Refuses what the queue has no room for, before it is tried; what drains the queue, or only reads, always passes. */
import { EVENT_BYTES, PARCEL_BYTES } from './lanes.ts'
import type { CommitRequest, Operation, Outcome, SalvageRequest } from './protocol.ts'
import type { RunOperations } from './queue-file.ts'
import type { Room } from './room.ts'

const REFUSED: Outcome = {
  status: 'unavailable',
  error: { code: 'STORE_FULL', message: 'the store is full, or the share of the account' },
}
const PAGE_BYTES = 4096

export function runAdmitted(operations: readonly Operation[], room: Room, run: RunOperations): Outcome[] {
  if (!operations.some((operation) => bytesOf(operation) > 0)) return run(operations)
  room.look()
  const isAdmitted = operations.map((operation) => {
    const bytes = bytesOf(operation)
    return bytes === 0 || room.admits(bytes, accountOf(operation))
  })
  const outcomes = run(operations.filter((_, index) => isAdmitted[index])).values()
  return isAdmitted.map((admitted) => (admitted ? outcomes.next().value! : REFUSED))
}

function accountOf({ kind, request }: Operation): string | undefined {
  return kind === 'commit' ? (request as CommitRequest).adAccountId : undefined
}

function bytesOf({ kind, request }: Operation): number {
  if (kind === 'commit') return bytesOfCommit(request as CommitRequest)
  if (kind !== 'salvage') return 0
  const { parcels, letters } = request as SalvageRequest
  const parcelBytes = parcels.reduce((sum, { commit }) => sum + bytesOfCommit(commit), 0)
  return letters.reduce((sum, { content }) => sum + content.byteLength + PARCEL_BYTES, parcelBytes)
}

function bytesOfCommit({ payload, eventTimesS }: CommitRequest): number {
  const { byteLength } = payload
  // What does not fit into a row goes to pages of its own, of which the last is rarely full.
  const payloadBytes =
    byteLength < PAGE_BYTES / 2 ? byteLength : Math.ceil(byteLength / PAGE_BYTES) * PAGE_BYTES
  return payloadBytes + PARCEL_BYTES + EVENT_BYTES * eventTimesS.length
}
