/**
 * Takes parcels, as many as come together, by the same few statements: leaves out what was seen before, seals the rest and
 * leases it to this replica.
 */
import { bindParcel, dedupeKey } from '../letter.ts'
import { omitEvents } from '../payload.ts'
import type { CommitRequest } from '../sqlite/protocol.ts'
import type { Receipt } from '../store.ts'
import { claimKeys, findPending, type SeenKey } from './seen.ts'
import type { Transaction } from './transaction.ts'

interface Candidate {
  readonly request: CommitRequest
  readonly parcelId: number
  /** One per event; none for test events, which are never compared. */
  readonly keys: readonly SeenKey[]
}

export async function commitAll(
  tx: Transaction,
  requests: readonly CommitRequest[],
): Promise<readonly Receipt[]> {
  const candidates = requests.map((request) => toCandidate(request, tx.nextParcelId()))
  const claimed = await claimKeys(
    tx.client,
    candidates.flatMap(({ keys }) => keys),
  )
  const judged = candidates.map((candidate) => ({
    ...candidate,
    duplicates: candidate.keys.flatMap(({ key }, index) => (claimed.take(key) ? [] : [index])),
  }))
  const stored = judged.flatMap(({ request, parcelId, duplicates }) => {
    const payload = omitEvents(request.payload, duplicates)
    const count = request.eventTimesS.length - duplicates.length
    if (payload === undefined || count === 0) return []
    return [{ request, parcelId, payload, count, oldestS: findOldest(request.eventTimesS, duplicates) }]
  })
  await insertParcels(tx, stored)
  const pendingIn = await findPending(
    tx.client,
    judged.flatMap(({ keys, duplicates }) => duplicates.map((index) => keys[index]!.key)),
  )
  const isStored = new Set(stored.map(({ parcelId }) => parcelId))
  for (const { request, duplicates } of judged) {
    const { eventTimesS, refusedCount } = request
    tx.books.count(request, {
      received: eventTimesS.length,
      duplicate: duplicates.length,
      refused: refusedCount,
    })
  }
  return judged.map(({ keys, parcelId, duplicates }) => {
    const pending = duplicates.filter((index) => {
      const holder = pendingIn(keys[index]!.key)
      // A double inside its own parcel repeats nothing earlier.
      return holder !== undefined && holder !== parcelId
    })
    return {
      parcelId: isStored.has(parcelId) ? parcelId : undefined,
      duplicates,
      pendingDuplicates: pending.length,
    }
  })
}

interface Stored {
  readonly request: CommitRequest
  readonly parcelId: number
  readonly payload: Uint8Array
  readonly count: number
  readonly oldestS: number
}

async function insertParcels(tx: Transaction, stored: readonly Stored[]): Promise<void> {
  if (stored.length === 0) return
  await tx.client.query(
    `INSERT INTO parcels (owner_id, lease_batch, is_replay, attempts, parcel_id, ad_account_id, is_test,
       oldest_event_time_s, size_bytes, event_count, pending_count, received_at_ms, sealed)
     SELECT $1, $2, false, 0, parcel_id, ad_account_id, is_test, oldest, size, count, count, received, sealed
     FROM unnest($3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::integer[], $8::integer[], $9::bigint[],
       $10::bytea[]) AS new (parcel_id, ad_account_id, is_test, oldest, size, count, received, sealed)`,
    [
      tx.ownerId,
      tx.batch,
      stored.map(({ parcelId }) => parcelId),
      stored.map(({ request }) => request.adAccountId),
      stored.map(({ request }) => request.isTest),
      stored.map(({ oldestS }) => oldestS),
      stored.map(({ payload }) => payload.byteLength),
      stored.map(({ count }) => count),
      stored.map(({ request }) => request.receivedAtMs),
      stored.map(({ request, payload }) => tx.sealer.seal(payload, bindParcel(request.adAccountId))),
    ],
  )
  for (const { request, count, payload } of stored) {
    tx.books.count(request, { queued: count, parcels: 1, bytes: payload.byteLength })
  }
}

function toCandidate(request: CommitRequest, parcelId: number): Candidate {
  const { adAccountId, isTest, identities, eventTimesS, receivedAtMs } = request
  if (isTest) return { request, parcelId, keys: [] }
  const keys = eventTimesS.map((_, index) => ({
    key: dedupeKey(adAccountId, identities[2 * index]!, identities[2 * index + 1]!),
    parcelId,
    seenAtMs: receivedAtMs,
  }))
  return { request, parcelId, keys }
}

function findOldest(eventTimesS: readonly number[], duplicates: readonly number[]): number {
  const omitted = new Set(duplicates)
  return eventTimesS.reduce(
    (oldest, timeS, index) => (omitted.has(index) ? oldest : Math.min(oldest, timeS)),
    Infinity,
  )
}
