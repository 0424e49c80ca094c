/**
 * Writes down what became of events, and gives batches back: all that come together by the same few statements. What
 * another replica leases by now is left alone, as is what is gone: the first outcome stands.
 */
import { addPosition, makeBitmap } from '../bitmap.ts'
import { packHistory } from '../history.ts'
import { bindDeadLetter, bindBatch, dedupeKey, packDeadLetter, readIdentity } from '../dead-letter.ts'
import { splitEvents } from '../payload.ts'
import { bytesOfDeadLetter } from '../share.ts'
import type { ReleaseRequest, AcknowledgeRequest } from '../engine/protocol.ts'
import type { DeadEvent, Acknowledgement } from '../store.ts'
import { tellFeed } from './feed-rows.ts'
import { toQueue, uniqueQueues, type QueueRow } from './queue-rows.ts'
import { forgetKeys } from './dedupe.ts'
import { MAY_ACKNOWLEDGE, type Transaction } from './transaction.ts'

/** One outcome per request; an error where a request is itself at fault: then nothing of that request was done. */
export async function acknowledgeAll(
  tx: Transaction,
  requests: readonly AcknowledgeRequest[],
): Promise<readonly (RangeError | undefined)[]> {
  await acknowledgeWhole(
    tx,
    requests.flatMap(({ wholeBatchIds }) => wholeBatchIds),
  )
  if (requests.every(({ others }) => others.length === 0)) return requests.map(() => undefined)
  const batches = await lockBatches(
    tx,
    requests.flatMap(({ others }) => others),
  )
  const newDeadLetters: NewDeadLetter[] = []
  const errors = requests.map(({ others }) => {
    const error = others
      .map((acknowledgement) => findFault(batches, acknowledgement))
      .find((found) => found !== undefined)
    if (error === undefined)
      for (const acknowledgement of others) acknowledgeOne(batches, acknowledgement, newDeadLetters)
    return error
  })
  await addDeadLetters(tx, newDeadLetters)
  await writeBatches(tx, [...batches.values()])
  return errors
}

/** Nearly every batch. */
async function acknowledgeWhole(tx: Transaction, batchIds: readonly number[]): Promise<void> {
  if (batchIds.length === 0) return
  const { rows } = await tx.client.query<QueueRow & { pending_count: number; size_bytes: number }>(
    `DELETE FROM batches WHERE ${MAY_ACKNOWLEDGE} AND batch_id = ANY($2)
     RETURNING ad_account_id, is_test, pending_count, size_bytes`,
    [tx.ownerIds, batchIds],
  )
  for (const row of rows) {
    const pending = row.pending_count
    tx.totals.count(toQueue(row), {
      delivered: pending,
      queued: -pending,
      batches: -1,
      bytes: -row.size_bytes,
    })
  }
}

interface BatchRow extends QueueRow {
  readonly batch_id: number
  readonly event_count: number
  readonly size_bytes: number
  readonly received_at_ms: number
  readonly sealed: Buffer | null
  readonly pending_count: number
  readonly acknowledged: Buffer | null
}

interface Batch {
  readonly row: BatchRow
  readonly acknowledged: Uint8Array
  pending: number
  delivered: number
  rejected: number
  expired: number
}

interface NewDeadLetter {
  readonly batch: Batch
  readonly dead: DeadEvent
  readonly diedAtMs: number
}

/** The payload comes along only where an event died: rarely. */
async function lockBatches(
  tx: Transaction,
  acknowledgements: readonly Acknowledgement[],
): Promise<Map<number, Batch>> {
  const { rows } = await tx.client.query<BatchRow>(
    `SELECT batch_id, ad_account_id, is_test, event_count, size_bytes, pending_count, acknowledged, received_at_ms,
       CASE WHEN batch_id = ANY($3) THEN sealed END AS sealed
     FROM batches WHERE ${MAY_ACKNOWLEDGE} AND batch_id = ANY($2) ORDER BY batch_id FOR UPDATE`,
    [
      tx.ownerIds,
      acknowledgements.map(({ batchId }) => batchId),
      acknowledgements.filter(({ dead }) => dead.length > 0).map(({ batchId }) => batchId),
    ],
  )
  return new Map(
    rows.map((row) => {
      const acknowledged =
        row.acknowledged === null ? makeBitmap(row.event_count) : Uint8Array.from(row.acknowledged)
      const counts = { pending: row.pending_count, delivered: 0, rejected: 0, expired: 0 }
      return [row.batch_id, { row, acknowledged, ...counts }]
    }),
  )
}

function findFault(
  batches: ReadonlyMap<number, Batch>,
  { batchId, delivered, dead }: Acknowledgement,
): RangeError | undefined {
  const batch = batches.get(batchId)
  if (batch === undefined) return undefined
  const positions = [...(delivered === 'rest' ? [] : delivered), ...dead.map(({ index }) => index)]
  const wrong = positions.find((position) => !(position >= 0 && position < batch.row.event_count))
  return wrong === undefined ? undefined : new RangeError(`Batch ${batchId} has no event ${wrong}.`)
}

function acknowledgeOne(
  batches: ReadonlyMap<number, Batch>,
  { batchId, delivered, dead, acknowledgedAtMs }: Acknowledgement,
  newDeadLetters: NewDeadLetter[],
): void {
  const batch = batches.get(batchId)
  if (batch === undefined || batch.pending === 0) return
  for (const one of dead) {
    if (!addPosition(batch.acknowledged, one.index)) continue
    newDeadLetters.push({ batch, dead: one, diedAtMs: acknowledgedAtMs })
    batch[one.status] += 1
    batch.pending -= 1
  }
  const count =
    delivered === 'rest'
      ? batch.pending
      : delivered.filter((position) => addPosition(batch.acknowledged, position)).length
  batch.delivered += count
  batch.pending -= count
}

async function addDeadLetters(tx: Transaction, newDeadLetters: readonly NewDeadLetter[]): Promise<void> {
  if (newDeadLetters.length === 0) return
  const eventsOf = new Map<Batch, string[]>()
  for (const { batch } of newDeadLetters) {
    if (eventsOf.has(batch)) continue
    const { ad_account_id: adAccountId, sealed } = batch.row
    eventsOf.set(batch, splitEvents(tx.sealer.open(sealed!, bindBatch(adAccountId))))
  }
  const deadLetters = newDeadLetters.map(({ batch, dead, diedAtMs }) => {
    const json = eventsOf.get(batch)![dead.index]!
    const { ad_account_id: adAccountId } = batch.row
    const sealed = tx.sealer.seal(packDeadLetter(dead.message, json), bindDeadLetter(adAccountId))
    return { batch, dead, diedAtMs, history: packHistory(dead.history), sealed, ...readIdentity(json) }
  })
  await tx.client.query(
    `INSERT INTO dead_letters (ad_account_id, is_test, event_name, event_id, event_time_s, status, reason, attempts,
       first_seen_at_ms, died_at_ms, history, sealed)
     SELECT ad_account_id, is_test, event_name, event_id, event_time_s, status, reason, attempts, first_seen, died,
       history, sealed
     FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::integer[],
       $9::bigint[], $10::bigint[], $11::text[], $12::bytea[]) WITH ORDINALITY
       AS new (ad_account_id, is_test, event_name, event_id, event_time_s, status, reason, attempts, first_seen, died,
         history, sealed, place)
     ORDER BY place`,
    [
      deadLetters.map(({ batch }) => batch.row.ad_account_id),
      deadLetters.map(({ batch }) => batch.row.is_test),
      deadLetters.map(({ eventName }) => toPgText(eventName)),
      deadLetters.map(({ eventId }) => toPgText(eventId)),
      deadLetters.map(({ eventTimeS }) => eventTimeS),
      deadLetters.map(({ dead }) => dead.status),
      deadLetters.map(({ dead }) => toPgText(dead.reason)),
      deadLetters.map(({ dead }) => dead.attempts),
      deadLetters.map(({ batch }) => batch.row.received_at_ms),
      deadLetters.map(({ diedAtMs }) => diedAtMs),
      deadLetters.map(({ history }) => history),
      deadLetters.map(({ sealed }) => sealed),
    ],
  )
  for (const deadLetter of deadLetters) {
    const [eventName, eventId] = [toPgText(deadLetter.eventName), toPgText(deadLetter.eventId)]
    const bytes = bytesOfDeadLetter({ ...deadLetter, eventName, eventId })
    tx.totals.count(toQueue(deadLetter.batch.row), { dead_bytes: bytes })
  }
  const live = deadLetters.filter(({ batch }) => !batch.row.is_test)
  await forgetKeys(
    tx.client,
    live.map(({ batch: { row }, eventName, eventId }) => ({
      key: dedupeKey(row.ad_account_id, eventName, eventId),
      batchId: row.batch_id,
    })),
  )
}

/** PostgreSQL's text holds any character but this one. */
function toPgText(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}

async function writeBatches(tx: Transaction, batches: readonly Batch[]): Promise<void> {
  const changed = batches.filter(({ row, pending }) => pending !== row.pending_count)
  const gone = changed.filter(({ pending }) => pending === 0)
  const kept = changed.filter(({ pending }) => pending > 0)
  if (gone.length > 0) {
    await tx.client.query('DELETE FROM batches WHERE batch_id = ANY($1)', [
      gone.map(({ row }) => row.batch_id),
    ])
  }
  if (kept.length > 0) {
    await tx.client.query(
      `UPDATE batches SET pending_count = new.pending, acknowledged = new.acknowledged
       FROM unnest($1::bigint[], $2::integer[], $3::bytea[]) AS new (batch_id, pending, acknowledged)
       WHERE batches.batch_id = new.batch_id`,
      [
        kept.map(({ row }) => row.batch_id),
        kept.map(({ pending }) => pending),
        kept.map(({ acknowledged }) => Buffer.from(acknowledged)),
      ],
    )
  }
  for (const { row, pending, delivered, rejected, expired } of changed) {
    tx.totals.count(toQueue(row), {
      delivered,
      rejected,
      expired,
      queued: pending - row.pending_count,
      ...(pending === 0 ? { batches: -1, bytes: -row.size_bytes } : {}),
    })
  }
}

/** Each batch at most once. */
export async function releaseAll(tx: Transaction, requests: readonly ReleaseRequest[]): Promise<void> {
  const batches = [
    ...new Map(requests.flatMap((request) => request.batches).map((one) => [one.batchId, one])).values(),
  ]
  if (batches.length === 0) return
  const { rows } = await tx.client.query<QueueRow>(
    `UPDATE batches SET owner_id = NULL, lease_number = NULL, attempts = new.attempts, history = new.history
     FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS new (batch_id, attempts, history)
     WHERE ${MAY_ACKNOWLEDGE} AND batches.batch_id = new.batch_id RETURNING ad_account_id, is_test`,
    [
      tx.ownerIds,
      batches.map(({ batchId }) => batchId),
      batches.map(({ attempts }) => attempts),
      batches.map(({ history }) => packHistory(history)),
    ],
  )
  await tellFeed(tx.client, tx.ownerId, { kind: 'queues', queues: uniqueQueues(rows) })
}
