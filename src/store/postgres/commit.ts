/**
 * Takes batches, as many as come together, by the same few statements: leaves out what was seen before, seals the rest and
 * leases it to this replica.
 */
import { bindBatch, dedupeKey } from '../dead-letter.ts'
import { omitEvents } from '../payload.ts'
import type { CommitAnswer, CommitRequest } from '../engine/protocol.ts'
import { claimKeys, findPending, type DedupeKey } from './dedupe.ts'
import type { Transaction } from './transaction.ts'

interface Candidate {
  readonly request: CommitRequest
  readonly batchId: number
  /** One per event; none for test events, which are never compared. */
  readonly keys: readonly DedupeKey[]
}

export async function commitAll(
  tx: Transaction,
  requests: readonly CommitRequest[],
): Promise<readonly CommitAnswer[]> {
  const candidates = requests.map((request) => toCandidate(request, tx.nextBatchId()))
  const claimed = await claimKeys(
    tx.client,
    candidates.flatMap(({ keys }) => keys),
  )
  const judged = candidates.map((candidate) => ({
    ...candidate,
    duplicates: candidate.keys.flatMap(({ key }, index) => (claimed.take(key) ? [] : [index])),
  }))
  const stored = judged.flatMap(({ request, batchId, duplicates }) => {
    const payload = omitEvents(request.payload, duplicates)
    const count = request.eventTimesS.length - duplicates.length
    if (payload === undefined || count === 0) return []
    return [{ request, batchId, payload, count, oldestS: findOldest(request.eventTimesS, duplicates) }]
  })
  await insertBatches(tx, stored)
  const pendingIn = await findPending(
    tx.client,
    judged.flatMap(({ keys, duplicates }) => duplicates.map((index) => keys[index]!.key)),
  )
  const isStored = new Set(stored.map(({ batchId }) => batchId))
  for (const { request, duplicates } of judged) {
    const { eventTimesS, invalidCount, filteredCount } = request
    tx.totals.count(request, {
      received: eventTimesS.length + filteredCount,
      filtered: filteredCount,
      duplicate: duplicates.length,
      invalid: invalidCount,
    })
  }
  return judged.map(({ keys, batchId, duplicates }) => {
    const pending = duplicates.filter((index) => {
      const holder = pendingIn(keys[index]!.key)
      // A double inside its own batch repeats nothing earlier.
      return holder !== undefined && holder !== batchId
    })
    return {
      batchId: isStored.has(batchId) ? batchId : undefined,
      duplicates,
      pendingDuplicates: pending.length,
    }
  })
}

interface Stored {
  readonly request: CommitRequest
  readonly batchId: number
  readonly payload: Uint8Array
  readonly count: number
  readonly oldestS: number
}

async function insertBatches(tx: Transaction, stored: readonly Stored[]): Promise<void> {
  if (stored.length === 0) return
  await tx.client.query(
    `INSERT INTO batches (owner_id, lease_number, is_replay, attempts, batch_id, ad_account_id, is_test,
       oldest_event_time_s, size_bytes, event_count, pending_count, received_at_ms, sealed)
     SELECT $1, $2, false, 0, batch_id, ad_account_id, is_test, oldest, size, count, count, received, sealed
     FROM unnest($3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::integer[], $8::integer[], $9::bigint[],
       $10::bytea[]) AS new (batch_id, ad_account_id, is_test, oldest, size, count, received, sealed)`,
    [
      tx.ownerId,
      tx.commitNumber,
      stored.map(({ batchId }) => batchId),
      stored.map(({ request }) => request.adAccountId),
      stored.map(({ request }) => request.isTest),
      stored.map(({ oldestS }) => oldestS),
      stored.map(({ payload }) => payload.byteLength),
      stored.map(({ count }) => count),
      stored.map(({ request }) => request.receivedAtMs),
      stored.map(({ request, payload }) => tx.sealer.seal(payload, bindBatch(request.adAccountId))),
    ],
  )
  for (const { request, count, payload } of stored) {
    tx.totals.count(request, { queued: count, batches: 1, bytes: payload.byteLength })
  }
}

function toCandidate(request: CommitRequest, batchId: number): Candidate {
  const { adAccountId, isTest, identities, eventTimesS, receivedAtMs } = request
  if (isTest) return { request, batchId, keys: [] }
  const keys = eventTimesS.map((_, index) => ({
    key: dedupeKey(adAccountId, identities[2 * index]!, identities[2 * index + 1]!),
    batchId,
    seenAtMs: receivedAtMs,
  }))
  return { request, batchId, keys }
}

function findOldest(eventTimesS: readonly number[], duplicates: readonly number[]): number {
  const omitted = new Set(duplicates)
  return eventTimesS.reduce(
    (oldest, timeS, index) => (omitted.has(index) ? oldest : Math.min(oldest, timeS)),
    Infinity,
  )
}
