/**
 * What an acknowledgement leaves of a batch, and which dead letters it makes. An event is acknowledged once: what comes
 * again, or too late, changes nothing. The batch goes with its last event.
 */
import { looksPersonal } from '../../events/personal-ids.ts'
import type { Sealer } from '../../vault/seal.ts'
import { splitEvents } from '../payload.ts'
import type { Acknowledgement, DeadEvent } from '../store.ts'
import { addPosition, makeBitmap } from './bitmap.ts'
import type { Changes } from './counters.ts'
import { packHistory } from './history.ts'
import { toQueue, type BatchRow, type NewDeadLetterRow } from './rows.ts'
import { bindBatch, bindDeadLetter, dedupeKey, packDeadLetter, readIdentity } from './sealed.ts'
import { bytesOfDeadLetter } from './share.ts'

/** A batch without its payload. */
export type PendingBatch = Pick<
  BatchRow,
  'batch_id' | 'size_bytes' | 'event_count' | 'pending_count' | 'acknowledged'
>

export interface Acknowledged {
  /** None: the batch goes. */
  readonly pendingCount: number
  readonly acknowledged: Uint8Array
  /** To be made dead letters. */
  readonly died: readonly DeadEvent[]
  readonly counts: Changes
}

/** Throws a RangeError where the acknowledgement names an event that the batch does not have. */
export function acknowledgeBatch(batch: PendingBatch, { delivered, dead }: Acknowledgement): Acknowledged {
  const {
    batch_id: batchId,
    event_count: eventCount,
    pending_count: pendingBefore,
    size_bytes: bytes,
  } = batch
  const acknowledged =
    batch.acknowledged === null ? makeBitmap(eventCount) : Uint8Array.from(batch.acknowledged)
  const mark = (position: number): boolean => {
    if (!(position >= 0 && position < eventCount)) {
      throw new RangeError(`Batch ${batchId} has no event ${position}.`)
    }
    return addPosition(acknowledged, position)
  }
  const died = dead.filter(({ index }) => mark(index))
  const deliveredCount = delivered === 'rest' ? pendingBefore - died.length : delivered.filter(mark).length
  const pendingCount = pendingBefore - died.length - deliveredCount
  const rejected = died.filter(({ status }) => status === 'rejected').length
  const counts = {
    delivered: deliveredCount,
    rejected,
    expired: died.length - rejected,
    queued: pendingCount - pendingBefore,
    ...(pendingCount === 0 ? { batches: -1, bytes: -bytes } : {}),
  }
  return { pendingCount, acknowledged, died, counts }
}

/** Of nearly every batch all events are delivered by one call. */
export function isWhole({ delivered, dead }: Acknowledgement): boolean {
  return delivered === 'rest' && dead.length === 0
}

/** What such a batch counts. */
export function countWhole({
  pending_count: pending,
  size_bytes: bytes,
}: Pick<BatchRow, 'pending_count' | 'size_bytes'>): Changes {
  return { delivered: pending, queued: -pending, batches: -1, bytes: -bytes }
}

export interface NewDeadLetter {
  readonly row: NewDeadLetterRow
  /** To be forgotten, so that a corrected event goes through; undefined for a test event. */
  readonly key: Uint8Array | undefined
  readonly counts: Changes
}

/**
 * The event is sealed, and with it Pinterest's text on it: that was scrubbed, but nobody can promise that it says nothing of
 * a customer. Death is rare: only then is the payload opened and read.
 */
export function makeDeadLetters(
  batch: Pick<BatchRow, 'ad_account_id' | 'is_test' | 'received_at_ms' | 'sealed'>,
  died: readonly DeadEvent[],
  diedAtMs: number,
  sealer: Sealer,
): NewDeadLetter[] {
  if (died.length === 0) return []
  const queue = toQueue(batch)
  const events = splitEvents(sealer.open(batch.sealed, bindBatch(queue)))
  return died.map(({ index, status, reason, message, attempts, history }) => {
    const json = events[index]!
    const { eventName, eventId, orderId, eventTimeS } = readIdentity(json)
    const row: NewDeadLetterRow = {
      ad_account_id: queue.adAccountId,
      is_test: queue.isTest,
      event_name: looksPersonal(eventName) ? '' : toStoredText(eventName),
      event_id: looksPersonal(eventId) ? '' : toStoredText(eventId),
      order_id: orderId === '' || looksPersonal(orderId) ? null : toStoredText(orderId),
      event_time_s: eventTimeS,
      status,
      reason: toStoredText(reason),
      attempts,
      first_seen_at_ms: batch.received_at_ms,
      died_at_ms: diedAtMs,
      history: packHistory(history),
      sealed: sealer.seal(packDeadLetter(message, json), bindDeadLetter(queue)),
    }
    return {
      row,
      key: queue.isTest ? undefined : dedupeKey(queue.adAccountId, eventName, eventId),
      counts: { dead_bytes: bytesOfDeadLetter(row) },
    }
  })
}

/** PostgreSQL's text holds any character but this one. */
function toStoredText(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}
