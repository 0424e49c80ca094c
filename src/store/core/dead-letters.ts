/**
 * Dead letters: which of them a filter means, how they are shown, and what a replay makes of them. A step looks at a bounded
 * number of rows, from new to old, whether they match or not: a filter that matches little in a long list must not keep
 * commits waiting.
 */
import type { Sealer } from '../../vault/seal.ts'
import type { DeadLetter, DeadLetterFilter, ReplayRequest, ReplayStep } from '../store.ts'
import type { Changes } from './counters.ts'
import { packHistory, unpackHistory } from './history.ts'
import { toQueue, uniqueQueues, type BatchRow, type DeadLetterRow, type Flag } from './rows.ts'
import { bindBatch, dedupeKey, openDeadLetter, readIdentity } from './sealed.ts'
import { trailOfStored } from './trail.ts'
import type { PostTrail } from '../trail.ts'

/** A few milliseconds' walk. */
export const STEP_ROWS = 5000

export interface DeadLetterRows {
  readonly rows: readonly DeadLetterRow[]
  /** Where the next step starts; undefined when nothing is left. */
  readonly beforeId: number | undefined
}

/** Columns that must have these values. Those of `ids` are found without a walk. */
export function conditionsOf(filter: DeadLetterFilter): (readonly [column: string, value: string | Flag])[] {
  const { adAccountId, isTest, status, reason, eventName, eventId, orderId } = filter
  const conditions = {
    ad_account_id: adAccountId,
    is_test: isTest,
    status,
    reason,
    event_name: eventName,
    event_id: eventId,
    order_id: orderId,
  }
  return Object.entries(conditions).flatMap(([column, value]) =>
    value === undefined ? [] : [[column, value] as const],
  )
}

/** `endId`: the last row that the step looked at; undefined when it looked at all. */
export function toRows(
  rows: readonly DeadLetterRow[],
  limit: number,
  endId: number | undefined,
): DeadLetterRows {
  return { rows, beforeId: rows.length === limit ? rows.at(-1)?.id : endId }
}

export function showDeadLetter(row: DeadLetterRow, sealer: Sealer): DeadLetter {
  const queue = toQueue(row)
  return {
    ...queue,
    id: row.id,
    eventName: row.event_name,
    eventId: row.event_id || undefined,
    eventTimeS: row.event_time_s,
    orderId: row.order_id ?? undefined,
    status: row.status,
    reason: row.reason,
    message: openDeadLetter(sealer, queue, row.sealed)?.message ?? '',
    attempts: row.attempts,
    firstSeenAtMs: row.first_seen_at_ms,
    diedAtMs: row.died_at_ms,
    history: unpackHistory(row.history),
  }
}

/** Left where it is: too old, or no key opens it. */
export type Left = 'too_old' | 'unreadable'

/** Goes, and is queued again unless its event was posted again meanwhile: then its key cannot be claimed. */
export interface Raised {
  readonly deadLetter: DeadLetterRow
  /** Undefined for a test event, which is never compared. */
  readonly key: Uint8Array | undefined
  readonly batch: BatchRow
}

export function raise(
  deadLetter: DeadLetterRow,
  { oldestEventTimeS, nowMs }: ReplayRequest,
  sealer: Sealer,
  nextBatchId: () => number,
): Raised | Left {
  const queue = toQueue(deadLetter)
  const { adAccountId, isTest } = queue
  if (!isTest && deadLetter.event_time_s < oldestEventTimeS) return 'too_old'
  const content = openDeadLetter(sealer, queue, deadLetter.sealed)
  if (content === undefined) return 'unreadable'
  const payload = Buffer.from(content.json, 'utf8')
  const { eventName, eventId } = readIdentity(content.json)
  return {
    deadLetter,
    key: isTest ? undefined : dedupeKey(adAccountId, eventName, eventId),
    batch: {
      batch_id: nextBatchId(),
      ad_account_id: adAccountId,
      is_test: isTest,
      is_replay: true,
      oldest_event_time_s: deadLetter.event_time_s,
      size_bytes: payload.byteLength,
      event_count: 1,
      pending_count: 1,
      attempts: deadLetter.attempts,
      received_at_ms: deadLetter.first_seen_at_ms,
      acknowledged: null,
      history: packHistory([...unpackHistory(deadLetter.history), { atMs: nowMs, reason: 'replayed' }]),
      sealed: sealer.seal(payload, bindBatch(queue)),
    },
  }
}

export function trailOfReplay(row: DeadLetterRow, nowMs: number): PostTrail {
  const { event_name: eventName, event_id: eventId, order_id: orderId, event_time_s: eventTimeS } = row
  return trailOfStored([{ eventName, eventId, orderId, eventTimeS }], nowMs, 'replayed')
}

/** In the totals the event is no longer rejected or expired, but queued or a duplicate. */
export function countRaised({ deadLetter: { status }, batch }: Raised, isQueued: boolean): Changes {
  return isQueued
    ? { [status]: -1, queued: 1, batches: 1, bytes: batch.size_bytes }
    : { [status]: -1, duplicate: 1 }
}

/** `queued`: those of `raised` that could claim their keys. */
export function summarizeReplay(
  decided: readonly (Raised | Left)[],
  queued: ReadonlySet<Raised>,
): Pick<ReplayStep, 'replayed' | 'duplicates' | 'tooOld' | 'queues'> {
  const raised = decided.filter((one) => typeof one !== 'string')
  return {
    replayed: queued.size,
    duplicates: raised.length - queued.size,
    tooOld: decided.filter((one) => one === 'too_old').length,
    queues: uniqueQueues([...queued].map(({ batch }) => batch)),
  }
}
