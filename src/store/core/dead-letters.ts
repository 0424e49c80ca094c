/**
 * Dead letters: which of them a filter means, how they are shown, and what a replay makes of them. A step reads a bounded
 * number of rows, from new to old, whether they match or not: a filter that matches little in a long list must not keep
 * commits waiting.
 */
import type { Sealer } from '../../vault/seal.ts'
import type { DeadLetterPage } from '../engine/operations.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterQuery,
  PurgeStep,
  ReplayRequest,
  ReplayStep,
} from '../store.ts'
import { batchOfStored, commitAll, type GivenBatch } from './commit.ts'
import {
  type DeadLetterRow,
  type NewDeadLetterRow,
  packHistory,
  toQueue,
  toStoredText,
  uniqueQueues,
  unpackHistory,
} from './rows.ts'
import { insert, query, type Steps } from './sql.ts'
import type { Transaction } from './transaction.ts'
import { openDeadLetter, readIdentity } from './sealed.ts'

/** A few milliseconds' walk. */
export const STEP_ROWS = 5000

export function* addDeadLetters(
  { totals }: Pick<Transaction, 'totals'>,
  made: readonly NewDeadLetterRow[],
): Steps<void> {
  const rows = made.map((row) => ({ ...row, size_bytes: bytesOf(row) }))
  yield* insert('dead_letters', rows)
  for (const row of rows) totals.count(toQueue(row), { dead_bytes: row.size_bytes })
}

/** The texts and the sealed event, and 256 for the rest of the row and its index. */
function bytesOf(row: NewDeadLetterRow): number {
  const texts = [row.event_name, row.event_id, row.order_id ?? '', row.history ?? '']
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), row.sealed.byteLength + 256)
}

/** One step, from new to old; the next one starts at `beforeId`, undefined when nothing is left. Those of `ids` need no walk. */
export function* findDeadLetters(
  sealer: Sealer,
  { limit, beforeId = Number.MAX_SAFE_INTEGER, ids, ...filter }: DeadLetterQuery,
  lock: '' | 'FOR UPDATE',
) {
  const [end] =
    ids === undefined
      ? yield* query<{ id: number }>(
          `SELECT id FROM dead_letters WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
          [beforeId],
        )
      : []
  const conditions = Object.entries({
    'ad_account_id = $': filter.adAccountId,
    'is_test = $': filter.isTest,
    'status = $': filter.status,
    'reason = $': filter.reason,
    'event_name = $': filter.eventName,
    "event_id IN ($, '')": filter.eventId,
    "order_id IN ($, '')": filter.orderId,
    'id = ANY($)': ids,
  }).filter(([, value]) => value !== undefined)
  const sql = conditions.map(([condition], index) => `AND ${condition.replace('$', `$$${index + 4}`)}`)
  const rows = yield* query<DeadLetterRow>(
    `SELECT * FROM dead_letters WHERE id < $1 AND id >= $2 ${sql.join(' ')} ORDER BY id DESC LIMIT $3 ${lock}`,
    [
      beforeId,
      end?.id ?? 0,
      limit,
      ...conditions.map(([, value]) => (typeof value === 'string' ? toStoredText(value) : value)),
    ],
  )
  const meant = rows.filter((row) => isMeant(row, filter, sealer))
  return { rows: meant, beforeId: rows.length === limit ? rows.at(-1)?.id : end?.id }
}

/** An id that may be personal is only in the sealed event. */
function isMeant(row: DeadLetterRow, { eventId, orderId }: DeadLetterFilter, sealer: Sealer): boolean {
  const isEventHidden = eventId !== undefined && row.event_id === ''
  const isOrderHidden = orderId !== undefined && row.order_id === ''
  if (!isEventHidden && !isOrderHidden) return true
  const content = openDeadLetter(sealer, toQueue(row), row.sealed)
  const event = content && readIdentity(content.json)
  return (!isEventHidden || event?.eventId === eventId) && (!isOrderHidden || event?.orderId === orderId)
}

export function* searchDeadLetters(sealer: Sealer, request: DeadLetterQuery): Steps<DeadLetterPage> {
  const { rows, beforeId } = yield* findDeadLetters(sealer, request, '')
  return { deadLetters: rows.map((row) => showDeadLetter(row, sealer)), beforeId }
}

function showDeadLetter(row: DeadLetterRow, sealer: Sealer): DeadLetter {
  const queue = toQueue(row)
  return {
    ...queue,
    id: row.id,
    eventName: row.event_name,
    eventId: row.event_id || undefined,
    eventTimeS: row.event_time_s,
    orderId: row.order_id || undefined,
    status: row.status,
    reason: row.reason,
    message: openDeadLetter(sealer, queue, row.sealed)?.message ?? '',
    attempts: row.attempts,
    firstSeenAtMs: row.first_seen_at_ms,
    diedAtMs: row.died_at_ms,
    history: unpackHistory(row.history),
  }
}

/**
 * In one transaction the dead letter is deleted, its batch added, and both are counted. Its event is not
 * queued where it was posted again meanwhile: then its key cannot be claimed.
 */
export function* replay(tx: Transaction, request: ReplayRequest): Steps<ReplayStep> {
  const { oldestEventTimeS, nowMs } = request
  const { rows, beforeId } = yield* findDeadLetters(tx.sealer, request, 'FOR UPDATE')
  const isOld = (row: DeadLetterRow) => !row.is_test && row.event_time_s < oldestEventTimeS
  const raised = rows.filter((row) => !isOld(row)).flatMap((row) => raise(tx, row, nowMs) ?? [])
  const deadLetters = raised.map(({ deadLetter }) => deadLetter)
  yield* removeDeadLetters(tx, deadLetters)
  // In the totals the event was received already, and is no longer rejected or expired.
  for (const row of deadLetters) tx.totals.count(toQueue(row), { received: -1, [row.status]: -1 })
  const receipts = yield* commitAll(
    tx,
    raised.map(({ batch }) => batch),
    'waiting',
  )
  const queued = deadLetters.filter((_, nth) => receipts[nth]!.batch !== undefined)
  const queues = uniqueQueues(queued)
  const counts = { replayed: queued.length, duplicates: raised.length - queued.length }
  const tooOld = rows.filter(isOld).length
  return { ...counts, tooOld, queues, beforeId }
}

/** Undefined where no key opens it: it is left where it is. */
function raise({ sealer, report }: Transaction, row: DeadLetterRow, nowMs: number) {
  const queue = toQueue(row)
  const content = openDeadLetter(sealer, queue, row.sealed)
  if (content === undefined) {
    report({ problem: 'dead_letter_unreadable', queue, deadLetterId: row.id })
    return undefined
  }
  const { event_id: eventId, order_id: orderId } = row
  const hiddenIds = Uint8Array.of(Number(eventId === '') | (Number(orderId === '') << 1))
  const stored = { payload: Buffer.from(content.json), gone: [], hiddenIds }
  const history = packHistory([...unpackHistory(row.history), { atMs: nowMs, reason: 'replayed' }])
  const batch: GivenBatch = {
    ...batchOfStored(queue, stored, row.first_seen_at_ms, { atMs: nowMs, reason: 'replayed' })!,
    before: { is_replay: true, attempts: row.attempts, history },
  }
  return { deadLetter: row, batch }
}

/** One step of deleting dead letters, including those that no key opens. */
export function* purge(tx: Transaction, request: DeadLetterQuery): Steps<PurgeStep> {
  const { rows, beforeId } = yield* findDeadLetters(tx.sealer, request, 'FOR UPDATE')
  yield* removeDeadLetters(tx, rows)
  return { purged: rows.length, beforeId }
}

export function* removeDeadLetters(tx: Transaction, rows: readonly DeadLetterRow[]): Steps<void> {
  if (rows.length === 0) return
  yield* query('DELETE FROM dead_letters WHERE id = ANY($1)', [rows.map(({ id }) => id)])
  for (const row of rows) tx.totals.count(toQueue(row), { dead_bytes: -row.size_bytes })
}
