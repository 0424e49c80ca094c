/**
 * Dead letters: which of them a filter means, how they are shown, and what a replay makes of them. A step looks at a bounded
 * number of rows, from new to old, whether they match or not: a filter that matches little in a long list must not keep
 * commits waiting.
 */
import type { Sealer } from '../../vault/seal.ts'
import type { DeadLetterPage } from '../engine/operations.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterQuery,
  PurgeRequest,
  PurgeStep,
  ReplayRequest,
  ReplayStep,
  TrimRequest,
  TrimStep,
} from '../store.ts'
import { countInAudit, purgeStep, replayStep } from './audit.ts'
import type { Changes } from './counters.ts'
import { packHistory, unpackHistory } from './history.ts'
import {
  toQueue,
  uniqueQueues,
  type BatchRow,
  type DeadLetterRow,
  type Flag,
  type NewDeadLetterRow,
  type QueueRow,
} from './rows.ts'
import { bytesOfDeadLetter, DEAD_LETTER_BYTES_SQL } from './share.ts'
import { insert, query, type Steps } from './sql.ts'
import { readBytes } from './totals.ts'
import type { Transaction } from './transaction.ts'
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

export function* addDeadLetters(
  { totals }: Pick<Transaction, 'totals'>,
  rows: readonly NewDeadLetterRow[],
): Steps<void> {
  yield* insert('dead_letters', rows)
  for (const row of rows) totals.count(toQueue(row), { dead_bytes: bytesOfDeadLetter(row) })
}

/** One step, from new to old. */
export function* findDeadLetters(
  { limit, beforeId = Number.MAX_SAFE_INTEGER, ids, ...filter }: DeadLetterQuery,
  lock: '' | 'FOR UPDATE',
): Steps<DeadLetterRows> {
  const [end] =
    ids === undefined
      ? yield* query<{ id: number }>(
          `SELECT id FROM dead_letters WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
          [beforeId],
        )
      : []
  const conditions = conditionsOf(filter)
  const sql = conditions.map(([column], index) => `AND ${column} = $${index + 4}`)
  if (ids !== undefined) sql.push(`AND id = ANY($${conditions.length + 4})`)
  const rows = yield* query<DeadLetterRow>(
    `SELECT * FROM dead_letters WHERE id < $1 AND id >= $2 ${sql.join(' ')} ORDER BY id DESC LIMIT $3 ${lock}`,
    [
      beforeId,
      end?.id ?? 0,
      limit,
      ...conditions.map(([, value]) => value),
      ...(ids === undefined ? [] : [ids]),
    ],
  )
  return { rows, beforeId: rows.length === limit ? rows.at(-1)?.id : end?.id }
}

export function* searchDeadLetters(sealer: Sealer, request: DeadLetterQuery): Steps<DeadLetterPage> {
  const { rows, beforeId } = yield* findDeadLetters(request, '')
  return { deadLetters: rows.map((row) => showDeadLetter(row, sealer)), beforeId }
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

/** A dead letter is gone and its batch is there, and both are counted and told in the audit, or none of it. */
export function* replay(tx: Transaction, request: ReplayRequest): Steps<ReplayStep> {
  const { rows, beforeId } = yield* findDeadLetters(request, 'FOR UPDATE')
  const decided = rows.map((row) => {
    const raised = raise(row, request, tx.sealer, tx.nextBatchId)
    if (raised === 'unreadable') {
      tx.report({ problem: 'dead_letter_unreadable', queue: toQueue(row), deadLetterId: row.id })
    }
    return raised
  })
  const raised = decided.filter((one) => typeof one !== 'string')
  const isNew = (yield* tx.dedupe.claim(
    raised.flatMap(({ key, batch: { batch_id: batchId } }) =>
      key === undefined ? [] : [{ key, batchId, seenAtMs: request.nowMs }],
    ),
  )).values()
  const queued = new Set(raised.filter(({ key }) => key === undefined || isNew.next().value === true))
  yield* removeDeadLetters(
    tx,
    raised.map(({ deadLetter }) => deadLetter),
  )
  yield* tx.leases.insert(
    [...queued].map(({ batch }) => batch),
    'waiting',
  )
  for (const one of raised) {
    const { batch, deadLetter } = one
    const isQueued = queued.has(one)
    tx.totals.count(toQueue(batch), countRaised(one, isQueued))
    const posted = trailOfReplay(deadLetter, request.nowMs)
    tx.trail.post(batch.batch_id, toQueue(batch), posted, isQueued ? [] : [0])
  }
  const summary = summarizeReplay(decided, queued)
  yield* tx.tellQueues(summary.queues)
  return { auditId: yield* countInAudit(replayStep(request, summary)), ...summary, beforeId }
}

/** Also what no key opens. */
export function* purge(tx: Transaction, request: PurgeRequest): Steps<PurgeStep> {
  const { rows, beforeId } = yield* findDeadLetters(request, 'FOR UPDATE')
  yield* removeDeadLetters(tx, rows)
  const auditId = yield* countInAudit(purgeStep(request, rows.length))
  return { auditId, purged: rows.length, beforeId }
}

export function* removeDeadLetters(tx: Transaction, rows: readonly DeadLetterRow[]): Steps<void> {
  if (rows.length === 0) return
  yield* query('DELETE FROM dead_letters WHERE id = ANY($1)', [rows.map(({ id }) => id)])
  countRemoved(
    tx,
    rows.map((row) => ({ ...row, bytes: bytesOfDeadLetter(row) })),
  )
}

/** Any number that nobody else locks: "dead letter" in ASCII. */
export const TRIM_LOCK = 0x6c6574746572

/** One replica at a time: two would both remove rows for the same bytes. */
export function* trimDeadLetters(tx: Transaction, { diedBeforeMs, limit }: TrimRequest): Steps<TrimStep> {
  if (!(yield* tx.tryLock(TRIM_LOCK))) return { tooOld: 0, overPart: 0 }
  const old = yield* query<RemovedRow>(
    // Materialized: a subquery may run once per row, each time with other rows within its LIMIT.
    `WITH old AS MATERIALIZED (
       SELECT id FROM dead_letters WHERE died_at_ms < $1 ORDER BY died_at_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED)
     DELETE FROM dead_letters WHERE id IN (SELECT id FROM old) ${RETURNING}`,
    [diedBeforeMs, limit],
  )
  countRemoved(tx, old)
  return { tooOld: old.length, overPart: yield* removeOverPart(tx, limit - old.length) }
}

/** The oldest, so that the rest keep to their part of the store; answers how many. */
export function* removeOverPart(tx: Transaction, limit: number): Steps<number> {
  if (limit === 0) return 0
  const overBytes =
    (yield* readBytes()).deadLetterBytes + tx.totals.sum('dead_bytes') - tx.limits.deadLetterBytes
  if (overBytes <= 0) return 0
  // Each of which those before it do not make enough room.
  const over = yield* query<RemovedRow>(
    `WITH oldest AS MATERIALIZED (
       SELECT id, died_at_ms, ${DEAD_LETTER_BYTES_SQL} AS bytes FROM dead_letters ORDER BY died_at_ms, id LIMIT $2
       FOR UPDATE SKIP LOCKED)
     DELETE FROM dead_letters WHERE id IN (
       SELECT id FROM (SELECT id, SUM(bytes) OVER (ORDER BY died_at_ms, id) - bytes AS before FROM oldest) AS summed
       WHERE before < $1) ${RETURNING}`,
    [overBytes, limit],
  )
  countRemoved(tx, over)
  return over.length
}

type RemovedRow = QueueRow & { readonly bytes: number }

const RETURNING = `RETURNING ad_account_id, is_test, ${DEAD_LETTER_BYTES_SQL} AS bytes`

function countRemoved({ totals }: Transaction, rows: readonly RemovedRow[]): void {
  for (const row of rows) totals.count(toQueue(row), { dead_bytes: -row.bytes })
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

function trailOfReplay(row: DeadLetterRow, nowMs: number): PostTrail {
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
