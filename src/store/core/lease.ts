/**
 * Which waiting batches a lease hands out, and in which order: those on time (`ON_TIME_S`), the one closest to the edge
 * first; then the late ones, oldest first; then replays. Each is a range of the index of what waits, so that a queue with a
 * million batches costs no more than a short one.
 */
import type { Sealer } from '../../vault/seal.ts'
import { ON_TIME_S, type LeasedBatch, type LeaseRequest } from '../store.ts'
import { type BatchRow, listPositions, toQueue, unpackHistory } from './rows.ts'
import { bindBatch, openSealed } from './sealed.ts'
import { query, type Steps } from './sql.ts'
import type { Transaction } from './transaction.ts'

/** Rows per query; most leases need one query. */
const CHUNK_ROWS = 500

type Choice = Pick<BatchRow, 'batch_id' | 'oldest_event_time_s' | 'pending_count' | 'size_bytes'>

/** Rows that another replica is just leasing are passed over, not waited for. */
export function* lease(tx: Transaction, request: LeaseRequest): Steps<LeasedBatch[]> {
  const { adAccountId, isTest } = request
  for (;;) {
    const chosen = yield* chooseWaiting(tx, request)
    const rows = new Map((yield* tx.leases.take(chosen)).map((row) => [row.batch_id, row]))
    const batches = chosen.flatMap((batchId) => {
      const batch = openBatch(rows.get(batchId)!, tx.sealer)
      // It stays in the store, marked as leased: it must not stop the batches behind it.
      if (batch === undefined)
        tx.report({ problem: 'batch_unreadable', queue: { adAccountId, isTest }, batchId })
      return batch ?? []
    })
    if (batches.length > 0 || chosen.length === 0) return batches
  }
}

function* chooseWaiting({ leases }: Transaction, request: LeaseRequest): Steps<number[]> {
  const { adAccountId, isTest, maxEvents, maxBytes, nowMs } = request
  const chosen: number[] = []
  let [events, bytes] = [0, 0]
  // A batch has at least one event, so at most `maxEvents` rows fit; one more shows that the next does not.
  const limit = Math.min(CHUNK_ROWS, maxEvents + 1)
  for (const range of listRanges(nowMs)) {
    for (let after = [range.aboveS, Number.MAX_SAFE_INTEGER]; ;) {
      const values = [adAccountId, isTest, ...after, range.uptoS, limit]
      const rows = yield* query<Choice>(waitingSql(range), values)
      for (const row of rows) {
        if (leases.isHeld(row.batch_id)) continue
        events += row.pending_count
        bytes += row.size_bytes
        // The first one always fits.
        if (chosen.length > 0 && (events > maxEvents || bytes > maxBytes)) return chosen
        chosen.push(row.batch_id)
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < limit) break
      after = [last.oldest_event_time_s, last.batch_id]
    }
  }
  return chosen
}

export function waitingSql({ isReplay }: { readonly isReplay: boolean }): string {
  return `SELECT batch_id, oldest_event_time_s, pending_count, size_bytes FROM batches
    WHERE owner_id IS NULL AND ad_account_id = $1 AND is_test = $2 AND is_replay = ${isReplay}
      AND (oldest_event_time_s, batch_id) > ($3, $4) AND oldest_event_time_s <= $5
    ORDER BY oldest_event_time_s, batch_id LIMIT $6 FOR UPDATE SKIP LOCKED`
}

/** Event times, in the order of a lease. Within a range the oldest event comes first, then the lower id. */
export function listRanges(nowMs: number) {
  const [first, last] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  const edgeS = Math.floor(nowMs / 1000) - ON_TIME_S
  return [
    { isReplay: false, aboveS: edgeS, uptoS: last },
    { isReplay: false, aboveS: first, uptoS: edgeS },
    { isReplay: true, aboveS: first, uptoS: last },
  ]
}

/** Undefined when no key opens it. */
export function openBatch(row: BatchRow, sealer: Sealer): LeasedBatch | undefined {
  const payload = openSealed(sealer, row.sealed, bindBatch(toQueue(row)))
  return payload && toLeased(row, payload)
}

export function toLeased(row: BatchRow, payload: Uint8Array): LeasedBatch {
  return {
    ...toQueue(row),
    batchId: row.batch_id,
    payload,
    eventCount: row.event_count,
    acknowledged: row.acknowledged === null ? [] : listPositions(row.acknowledged),
    oldestEventTimeS: row.oldest_event_time_s,
    receivedAtMs: row.received_at_ms,
    attempts: row.attempts,
    isReplay: Boolean(row.is_replay),
    history: unpackHistory(row.history),
  }
}
