/**
 * Which waiting batches a lease hands out, and in which order: those on time (`ON_TIME_S`), the one closest to the edge
 * first; then the late ones, oldest first; then replays. Each is a range of the index of what waits, so that a queue with a
 * million batches costs no more than a short one.
 */
import type { Sealer } from '../../vault/seal.ts'
import { ON_TIME_S, type LeasedBatch, type LeaseRequest } from '../store.ts'
import { listPositions } from './bitmap.ts'
import { unpackHistory } from './history.ts'
import { toQueue, type BatchRow } from './rows.ts'
import { bindBatch, openSealed } from './sealed.ts'

export interface LeaseRange {
  readonly isReplay: boolean
  /** Event times, in seconds: above the first, up to the second. */
  readonly aboveS: number
  readonly uptoS: number
}

/** Each by its oldest event, then by its id. */
export function listRanges(nowMs: number): LeaseRange[] {
  const [first, last] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  const edgeS = Math.floor(nowMs / 1000) - ON_TIME_S
  return [
    { isReplay: false, aboveS: edgeS, uptoS: last },
    { isReplay: false, aboveS: first, uptoS: edgeS },
    { isReplay: true, aboveS: first, uptoS: last },
  ]
}

export interface Room {
  /** Takes the batch out of the room that is left; the first one always fits. */
  take(row: Pick<BatchRow, 'pending_count' | 'size_bytes'>): boolean
}

export function createRoom({ maxEvents, maxBytes }: LeaseRequest): Room {
  let [events, bytes] = [0, 0]
  return {
    take({ pending_count: count, size_bytes: size }) {
      if (events > 0 && (events + count > maxEvents || bytes + size > maxBytes)) return false
      events += count
      bytes += size
      return true
    },
  }
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
