/** What a commit takes: the events that were not seen before, sealed as one batch that is leased to the caller. */
import type { Sealer } from '../../vault/seal.ts'
import type { CommitRequest } from '../engine/operations.ts'
import { omitEvents } from '../payload.ts'
import type { Changes } from './counters.ts'
import type { BatchRow } from './rows.ts'
import { bindBatch, dedupeKey } from './sealed.ts'

export interface CommitPlan {
  /** Undefined when every event is a duplicate. */
  readonly row: BatchRow | undefined
  readonly counts: Changes
}

/**
 * One per event, in order; none for test events: a developer posts the same one again and again and wants an answer each
 * time. Who claims them in order finds doubles inside the batch, too: the second of two is a duplicate of the first.
 */
export function listKeys({ adAccountId, isTest, identities, eventTimesS }: CommitRequest): Uint8Array[] {
  if (isTest) return []
  return eventTimesS.map((_, index) =>
    dedupeKey(adAccountId, identities[2 * index]!, identities[2 * index + 1]!),
  )
}

/** `duplicates`: positions, ascending. */
export function planCommit(
  request: CommitRequest,
  batchId: number,
  duplicates: readonly number[],
  sealer: Sealer,
): CommitPlan {
  const { adAccountId, isTest, eventTimesS, invalidCount, filteredCount } = request
  const counts = {
    received: eventTimesS.length + filteredCount,
    filtered: filteredCount,
    duplicate: duplicates.length,
    invalid: invalidCount,
  }
  const payload = omitEvents(request.payload, duplicates)
  const count = eventTimesS.length - duplicates.length
  if (payload === undefined || count === 0) return { row: undefined, counts }
  const row: BatchRow = {
    batch_id: batchId,
    ad_account_id: adAccountId,
    is_test: isTest,
    is_replay: false,
    oldest_event_time_s: findOldest(eventTimesS, duplicates),
    size_bytes: payload.byteLength,
    event_count: count,
    pending_count: count,
    attempts: 0,
    received_at_ms: request.receivedAtMs,
    acknowledged: null,
    history: null,
    sealed: sealer.seal(payload, bindBatch(request)),
  }
  return { row, counts: { ...counts, queued: count, batches: 1, bytes: payload.byteLength } }
}

function findOldest(eventTimesS: readonly number[], duplicates: readonly number[]): number {
  const omitted = new Set(duplicates)
  let oldest = Infinity
  for (let index = 0; index < eventTimesS.length; index++) {
    if (eventTimesS[index]! < oldest && !omitted.has(index)) oldest = eventTimesS[index]!
  }
  return oldest
}
