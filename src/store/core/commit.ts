/**
 * What a commit takes: the events that were not seen before, sealed as one batch that is leased to the caller. Whoever claims a
 * batch's keys in order finds doubles inside it, too: the second of two is a duplicate of the first.
 */
import type { Sealer } from '../../vault/seal.ts'
import { omitEvents, splitEvents } from '../payload.ts'
import type { HistoryEntry, NewBatch, QueueKey, Receipt } from '../store.ts'
import type { Changes } from './totals.ts'
import { toLeased } from './lease.ts'
import { packHiddenIds, readTrailIds, type BatchRow } from './rows.ts'
import { bindBatch, dedupeKeys, readIdentity } from './sealed.ts'
import type { Steps } from './sql.ts'
import type { Transaction } from './transaction.ts'

/** A post's batch, or one of events that were stored before. */
export interface GivenBatch extends NewBatch {
  /** Where that is not when it was received. */
  readonly seenAtMs?: number
  readonly before?: Pick<BatchRow, 'is_replay' | 'attempts' | 'history'>
}

const NEVER_BEFORE = { is_replay: false, attempts: 0, history: null }

/** A batch of events that were stored before, without those that are gone. `reason`: `replayed` or `recovered`, `atMs` when. */
export function batchOfStored(
  queue: QueueKey,
  stored: {
    readonly payload: Uint8Array
    readonly gone: readonly number[]
    readonly hiddenIds: Uint8Array | null
  },
  receivedAtMs: number,
  { atMs, reason }: HistoryEntry,
) {
  const payload = omitEvents(stored.payload, stored.gone)
  if (payload === undefined) return undefined
  const gone = new Set(stored.gone)
  const identities = splitEvents(stored.payload).map(readIdentity)
  const events = identities.map((identity, index) => ({
    ...identity,
    trailIds: readTrailIds(stored.hiddenIds, index, identity),
    status: 'prepared' as const,
    reason,
    warnings: [],
  }))
  const kept = events.filter((_, index) => !gone.has(index))
  return { ...queue, payload, events: kept, keys: dedupeKeys(queue, kept), receivedAtMs, seenAtMs: atMs }
}

export function* commitAll(
  tx: Transaction,
  given: readonly GivenBatch[],
  state: 'leased' | 'waiting' = 'leased',
): Steps<readonly Receipt[]> {
  if (given.length === 0) return []
  const candidates = given.map((one) => ({ given: one, batchId: tx.nextBatchId() }))
  const known = yield* tx.dedupe.claim(
    candidates.map(({ given: { receivedAtMs, seenAtMs = receivedAtMs, keys }, batchId }) => ({
      batchId,
      seenAtMs,
      keys,
    })),
  )
  const planned = candidates.map(({ given: one, batchId }, nth) => {
    const duplicates = known[nth]!
    const { stored, counts } = planCommit(one, batchId, duplicates, tx.sealer)
    tx.totals.count(one, counts)
    const { seenAtMs: receivedAtMs = one.receivedAtMs } = one
    tx.trail.post(batchId, { ...one, receivedAtMs }, duplicates)
    return { stored, batchId, duplicates, repeated: duplicates.map((index) => one.keys[index]!) }
  })
  yield* tx.leases.insert(
    planned.flatMap(({ stored }) => stored?.row ?? []),
    state,
  )
  const pendingIn = (yield* tx.dedupe.pendingOf(planned.flatMap(({ repeated }) => repeated))).values()
  return planned.map(({ stored, batchId, duplicates, repeated }) => {
    // A duplicate within its own batch repeats no earlier event.
    const pending = repeated.filter(() => ![undefined, batchId].includes(pendingIn.next().value))
    return { batch: stored?.batch, duplicates, pendingDuplicates: pending.length }
  })
}

/** `duplicates`: positions, ascending. `stored`: undefined when every event is one. */
export function planCommit(
  given: GivenBatch,
  batchId: number,
  duplicates: readonly number[],
  sealer: Sealer,
) {
  const { adAccountId, isTest, events } = given
  const prepared = events.filter(({ status }) => status === 'prepared')
  const filtered = events.filter(({ status }) => status === 'filtered').length
  const received = prepared.length + filtered
  const counts: Changes = {
    received,
    filtered,
    duplicate: duplicates.length,
    invalid: events.length - received,
  }
  const payload = omitEvents(given.payload, duplicates)
  const omitted = new Set(duplicates)
  const kept = prepared.filter((_, index) => !omitted.has(index))
  const count = kept.length
  if (payload === undefined || count === 0) return { stored: undefined, counts }
  const { is_replay, attempts, history } = given.before ?? NEVER_BEFORE
  const row: BatchRow = {
    batch_id: batchId,
    ad_account_id: adAccountId,
    is_test: isTest,
    is_replay,
    oldest_event_time_s: Math.min(...kept.map(({ eventTimeS }) => eventTimeS!)),
    size_bytes: payload.byteLength,
    event_count: count,
    pending_count: count,
    attempts,
    received_at_ms: given.receivedAtMs,
    acknowledged: null,
    hidden_ids: packHiddenIds(kept),
    history,
    sealed: sealer.seal(
      payload === given.payload ? (given.compressed ?? payload) : payload,
      bindBatch(given),
    ),
  }
  return {
    stored: { row, batch: toLeased(row, payload) },
    counts: { ...counts, queued: count, batches: 1, bytes: payload.byteLength },
  }
}
