/**
 * What an acknowledgement leaves of a batch, and which dead letters it makes. An event is acknowledged once: a
 * repeated or late acknowledgement changes nothing. The batch is deleted with its last event.
 */
import { looksPersonal } from '../../events/personal-ids.ts'
import type { Sealer } from '../../vault/seal.ts'
import { splitEvents } from '../payload.ts'
import type { Acknowledgement, DeadEvent, ReleasedBatch } from '../store.ts'
import type { Changes } from './totals.ts'
import { addDeadLetters } from './dead-letters.ts'
import {
  addPosition,
  type BatchRow,
  makeBitmap,
  type NewDeadLetterRow,
  packHistory,
  readTrailIds,
  type QueueRow,
  toQueue,
  toStoredText,
} from './rows.ts'
import { bindBatch, bindDeadLetter, decompress, dedupeKeys, packDeadLetter, readIdentity } from './sealed.ts'
import { query, update, type Steps } from './sql.ts'
import { MAY_ACKNOWLEDGE, type ForgottenKey, type Transaction } from './transaction.ts'

/**
 * A few statements for all of a transaction. Batches that are gone, or that another replica leases, are left alone. Throws a
 * RangeError where one of them is itself at fault.
 */
export function* acknowledgeAll(tx: Transaction, acknowledgements: readonly Acknowledgement[]): Steps<void> {
  const ofBatch = Map.groupBy(acknowledgements, ({ batchId }) => batchId)
  const isAlone = ({ batchId, delivered, dead }: Acknowledgement) =>
    delivered === 'rest' && dead.length === 0 && ofBatch.get(batchId)!.length === 1
  yield* acknowledgeWhole(tx, acknowledgements.filter(isAlone))
  const others = acknowledgements.filter((one) => !isAlone(one))
  if (others.length === 0) return
  // The payload is read only where an event became a dead letter: rarely.
  const rows = yield* query<BatchRow>(
    `SELECT batch_id, ad_account_id, is_test, event_count, size_bytes, pending_count, acknowledged, hidden_ids, received_at_ms,
       CASE WHEN batch_id = ANY($3) THEN sealed END AS sealed
     FROM batches WHERE ${MAY_ACKNOWLEDGE} AND batch_id = ANY($2) ORDER BY batch_id FOR UPDATE`,
    [
      tx.ownerIds,
      others.map(({ batchId }) => batchId),
      others.filter(({ dead }) => dead.length > 0).map(({ batchId }) => batchId),
    ],
  )
  const locked = new Map(rows.map((row) => [row.batch_id, row]))
  const changed = new Map<number, Pick<BatchRow, 'batch_id' | 'pending_count' | 'acknowledged'>>()
  const deadLetters: NewDeadLetterRow[] = []
  const forgotten: ForgottenKey[] = []
  for (const acknowledgement of others) {
    const { batchId, acknowledgedAtMs } = acknowledgement
    const found = locked.get(batchId)
    const row = found && { ...found, ...changed.get(batchId) }
    if (row === undefined || row.pending_count === 0) continue
    const { pendingCount, acknowledged, died, counts } = acknowledgeBatch(row, acknowledgement)
    changed.set(batchId, { batch_id: batchId, pending_count: pendingCount, acknowledged })
    tx.totals.count(toQueue(row), counts)
    tx.trail.outcome({ ...acknowledgement, dead: died })
    const { rows: made, keys } = makeDeadLetters(row, died, acknowledgedAtMs, tx.sealer)
    deadLetters.push(...made)
    forgotten.push(...keys.map((key) => ({ key, batchId })))
  }
  yield* addDeadLetters(tx, deadLetters)
  yield* tx.dedupe.forget(forgotten)
  yield* writeBatches(tx, [...changed.values()])
}

/** Deletes those without a pending event. */
export function* writeBatches(
  tx: Transaction,
  changed: readonly Pick<BatchRow, 'batch_id' | 'pending_count'>[],
): Steps<void> {
  const gone = changed.filter((row) => row.pending_count === 0).map((row) => row.batch_id)
  if (gone.length > 0) yield* query('DELETE FROM batches WHERE batch_id = ANY($1)', [gone])
  tx.leases.end(gone)
  yield* update(
    'batches',
    'batch_id',
    changed.filter((row) => row.pending_count > 0),
  )
}

const DELETE_WHOLE = `DELETE FROM batches WHERE ${MAY_ACKNOWLEDGE} AND batch_id = ANY($2)
  RETURNING batch_id, ad_account_id, is_test, pending_count, size_bytes`

/** Of nearly every batch all events are delivered by one call. */
function* acknowledgeWhole(tx: Transaction, whole: readonly Acknowledgement[]): Steps<void> {
  if (whole.length === 0) return
  const rows = yield* query<QueueRow & Pick<BatchRow, 'batch_id' | 'pending_count' | 'size_bytes'>>(
    DELETE_WHOLE,
    [tx.ownerIds, whole.map(({ batchId }) => batchId)],
  )
  const gone = new Set(rows.map((row) => row.batch_id))
  tx.leases.end([...gone])
  for (const row of rows) {
    const { pending_count: pending, size_bytes: bytes } = row
    tx.totals.count(toQueue(row), { delivered: pending, queued: -pending, batches: -1, bytes: -bytes })
  }
  for (const one of whole) if (gone.has(one.batchId)) tx.trail.outcome(one)
}

/** Releases each batch once, however often it is named. */
export function* releaseAll(tx: Transaction, released: readonly ReleasedBatch[]): Steps<void> {
  if (released.length > 0) {
    yield* tx.leases.release([...new Map(released.map((one) => [one.batchId, one])).values()])
  }
}

/** A batch without its payload. */
export type PendingBatch = Pick<
  BatchRow,
  'batch_id' | 'size_bytes' | 'event_count' | 'pending_count' | 'acknowledged'
>

/** An erased event is one that the account did not want sent. */
type Died = Pick<DeadEvent, 'index'> & { readonly status: DeadEvent['status'] | 'erased' }

/**
 * What is left of the batch, and those of `dead` that were pending. Throws a RangeError where the acknowledgement names an event that the
 * batch does not have.
 */
export function acknowledgeBatch<Dead extends Died>(
  batch: PendingBatch,
  { delivered, dead }: Pick<Acknowledgement, 'delivered'> & { readonly dead: readonly Dead[] },
) {
  const { event_count: eventCount, pending_count: pendingBefore } = batch
  const acknowledged =
    batch.acknowledged === null ? makeBitmap(eventCount) : Uint8Array.from(batch.acknowledged)
  const mark = (position: number): boolean => {
    if (!(position >= 0 && position < eventCount)) {
      throw new RangeError(`Batch ${batch.batch_id} has no event ${position}.`)
    }
    return addPosition(acknowledged, position)
  }
  const died = dead.filter(({ index }) => mark(index))
  const countOf = (status: Died['status']) => died.filter((one) => one.status === status).length
  const deliveredCount = delivered === 'rest' ? pendingBefore - died.length : delivered.filter(mark).length
  const pendingCount = pendingBefore - died.length - deliveredCount
  const counts: Changes = {
    delivered: deliveredCount,
    rejected: countOf('rejected'),
    expired: countOf('expired'),
    filtered: countOf('erased'),
    queued: pendingCount - pendingBefore,
    ...(pendingCount === 0 ? { batches: -1, bytes: -batch.size_bytes } : {}),
  }
  return { pendingCount, acknowledged, died, counts }
}

/**
 * Dead letters are rare: only for them the payload is opened and read. Pinterest's message is sealed with the event: it was scrubbed,
 * but may still say something of a customer. `keys`: to be forgotten, so that a corrected event goes through; none of test events.
 */
export function makeDeadLetters(
  batch: Pick<BatchRow, 'ad_account_id' | 'is_test' | 'received_at_ms' | 'hidden_ids' | 'sealed'>,
  died: readonly DeadEvent[],
  diedAtMs: number,
  sealer: Sealer,
) {
  if (died.length === 0) return { rows: [], keys: [] }
  const queue = toQueue(batch)
  const texts = splitEvents(decompress(sealer.open(batch.sealed, bindBatch(queue))))
  const identities = died.map(({ index }) => readIdentity(texts[index]!))
  const rows = died.map(({ index, status, reason, message, attempts, history }, nth): NewDeadLetterRow => {
    const { eventName, eventTimeS } = identities[nth]!
    const { eventId, orderId } = readTrailIds(batch.hidden_ids, index, identities[nth]!)
    return {
      ad_account_id: queue.adAccountId,
      is_test: queue.isTest,
      event_name: looksPersonal(eventName) ? '' : toStoredText(eventName),
      event_id: toStoredText(eventId ?? ''),
      order_id: orderId === undefined ? null : toStoredText(orderId ?? ''),
      event_time_s: eventTimeS,
      status,
      reason: toStoredText(reason),
      attempts,
      first_seen_at_ms: batch.received_at_ms,
      died_at_ms: diedAtMs,
      history: packHistory(history),
      sealed: sealer.seal(packDeadLetter(message, texts[index]!), bindDeadLetter(queue)),
    }
  })
  return { rows, keys: dedupeKeys(queue, identities) }
}
