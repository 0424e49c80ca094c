/** Dead letters: found from new to old, a bounded number of rows per step, queued again, or deleted. */
import { packHistory, unpackHistory } from '../history.ts'
import { bindBatch, dedupeKey, openDeadLetter } from '../dead-letter.ts'
import { bytesOfDeadLetter } from '../share.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterQuery,
  PurgeRequest,
  PurgeStep,
  ReplayRequest,
  ReplayStep,
} from '../store.ts'
import type { Sealer } from '../../vault/seal.ts'
import { countInAudit } from './audit.ts'
import type { Queryable } from './client.ts'
import { tellFeed } from './feed-rows.ts'
import { toQueue, uniqueQueues, type QueueRow } from './queue-rows.ts'
import { claimKeys } from './dedupe.ts'
import type { Transaction } from './transaction.ts'

const STEP_ROWS = 5000

interface DeadLetterRow extends QueueRow {
  readonly id: number
  readonly event_name: string
  readonly event_id: string
  readonly event_time_s: number
  readonly status: 'rejected' | 'expired'
  readonly reason: string
  readonly attempts: number
  readonly first_seen_at_ms: number
  readonly died_at_ms: number
  readonly history: string | null
  readonly sealed: Buffer
}

interface DeadLetterStep {
  readonly rows: readonly DeadLetterRow[]
  /** Where the next step starts; undefined when nothing is left. */
  readonly beforeId: number | undefined
}

async function walk(
  client: Queryable,
  { limit, beforeId = Number.MAX_SAFE_INTEGER, ...filter }: DeadLetterQuery,
  lock: '' | 'FOR UPDATE',
): Promise<DeadLetterStep> {
  const values: unknown[] = [beforeId, limit]
  const conditions = conditionsOf(filter, values)
  let endId: number | undefined
  // Dead letters that are named by their ids are found without a walk.
  if (filter.ids === undefined) {
    const { rows } = await client.query<{ id: number }>(
      `SELECT id FROM dead_letters WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
      [beforeId],
    )
    endId = rows[0]?.id
  }
  values.push(endId ?? 0)
  const { rows } = await client.query<DeadLetterRow>(
    `SELECT * FROM dead_letters WHERE id < $1 AND id >= $${values.length} ${conditions} ORDER BY id DESC LIMIT $2 ${lock}`,
    values,
  )
  return { rows, beforeId: rows.length === limit ? rows.at(-1)?.id : endId }
}

/** Adds their values. */
function conditionsOf(filter: DeadLetterFilter, values: unknown[]): string {
  const add = (sql: string, value: unknown) =>
    value === undefined ? '' : `AND ${sql.replace('?', `$${values.push(value)}`)}`
  return [
    add('id = ANY(?)', filter.ids),
    add('ad_account_id = ?', filter.adAccountId),
    add('is_test = ?', filter.isTest),
    add('status = ?', filter.status),
    add('reason = ?', filter.reason),
    add('event_name = ?', filter.eventName),
  ].join(' ')
}

export async function searchDeadLetters(
  client: Queryable,
  sealer: Sealer,
  query: DeadLetterQuery,
): Promise<DeadLetter[]> {
  const found: DeadLetter[] = []
  let rest = query
  while (found.length < query.limit) {
    const { rows, beforeId } = await walk(client, rest, '')
    found.push(...rows.map((row) => show(sealer, row)))
    if (beforeId === undefined) break
    rest = { ...query, limit: query.limit - found.length, beforeId }
  }
  return found
}

function show(sealer: Sealer, row: DeadLetterRow): DeadLetter {
  return {
    ...toQueue(row),
    id: row.id,
    eventName: row.event_name,
    eventId: row.event_id,
    status: row.status,
    reason: row.reason,
    message: openDeadLetter(sealer, row.ad_account_id, row.sealed)?.message ?? '',
    attempts: row.attempts,
    firstSeenAtMs: row.first_seen_at_ms,
    diedAtMs: row.died_at_ms,
    history: unpackHistory(row.history),
  }
}

interface Risen {
  readonly row: DeadLetterRow
  readonly batchId: number
  readonly payload: Buffer
}

export async function replay(tx: Transaction, request: ReplayRequest): Promise<ReplayStep> {
  const { client, totals } = tx
  const { oldestEventTimeS, nowMs, auditId } = request
  const { rows, beforeId } = await walk(client, request, 'FOR UPDATE')
  const isTooOld = (row: DeadLetterRow) => !row.is_test && row.event_time_s < oldestEventTimeS
  const young = rows.filter((row) => !isTooOld(row)).flatMap((row) => raise(tx, row))
  const keyOf = ({ row }: Risen) => dedupeKey(row.ad_account_id, row.event_name, row.event_id)
  const claimed = await claimKeys(
    client,
    young
      .filter(({ row }) => !row.is_test)
      .map((risen) => ({ key: keyOf(risen), batchId: risen.batchId, seenAtMs: nowMs })),
  )
  const risen = young.filter((one) => one.row.is_test || claimed.take(keyOf(one)))
  await removeDeadLetters(
    tx,
    young.map(({ row }) => row),
  )
  await insertReplays(tx, risen, nowMs)
  const isRisen = new Set(risen)
  for (const one of young) {
    const { status } = one.row
    totals.count(
      toQueue(one.row),
      isRisen.has(one)
        ? { [status]: -1, queued: 1, batches: 1, bytes: one.payload.byteLength }
        : { [status]: -1, duplicate: 1 },
    )
  }
  const counts = {
    replayed: risen.length,
    duplicates: young.length - risen.length,
    too_old: rows.filter(isTooOld).length,
  }
  const queues = uniqueQueues(risen.map(({ row }) => row))
  await tellFeed(client, tx.ownerId, { kind: 'queues', queues })
  return {
    auditId: await countInAudit(client, { auditId, action: 'replay', filter: request, counts, nowMs }),
    replayed: counts.replayed,
    duplicates: counts.duplicates,
    tooOld: counts.too_old,
    queues,
    beforeId,
  }
}

/** Nothing where no key opens it: it stays where it is. */
function raise(tx: Transaction, row: DeadLetterRow): Risen[] {
  const deadLetter = openDeadLetter(tx.sealer, row.ad_account_id, row.sealed)
  if (deadLetter === undefined) {
    tx.report({ problem: 'dead_letter_unreadable', queue: toQueue(row), deadLetterId: row.id })
    return []
  }
  return [{ row, batchId: tx.nextBatchId(), payload: Buffer.from(deadLetter.json) }]
}

async function insertReplays(tx: Transaction, risen: readonly Risen[], nowMs: number): Promise<void> {
  if (risen.length === 0) return
  await tx.client.query(
    `INSERT INTO batches (is_replay, event_count, pending_count, batch_id, ad_account_id, is_test, oldest_event_time_s,
       size_bytes, attempts, received_at_ms, history, sealed)
     SELECT true, 1, 1, * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[], $5::integer[],
       $6::integer[], $7::bigint[], $8::text[], $9::bytea[])`,
    [
      risen.map(({ batchId }) => batchId),
      risen.map(({ row }) => row.ad_account_id),
      risen.map(({ row }) => row.is_test),
      risen.map(({ row }) => row.event_time_s),
      risen.map(({ payload }) => payload.byteLength),
      risen.map(({ row }) => row.attempts),
      risen.map(({ row }) => row.first_seen_at_ms),
      risen.map(({ row }) =>
        packHistory([...unpackHistory(row.history), { atMs: nowMs, reason: 'replayed' }]),
      ),
      risen.map(({ row, payload }) => tx.sealer.seal(payload, bindBatch(row.ad_account_id))),
    ],
  )
}

/** Rows that this transaction locked. */
async function removeDeadLetters(tx: Transaction, rows: readonly DeadLetterRow[]): Promise<void> {
  await tx.client.query('DELETE FROM dead_letters WHERE id = ANY($1)', [rows.map(({ id }) => id)])
  for (const row of rows) {
    const { event_name: eventName, event_id: eventId, history, sealed } = row
    tx.totals.count(toQueue(row), { dead_bytes: -bytesOfDeadLetter({ eventName, eventId, history, sealed }) })
  }
}

/** Also what no key opens. */
export async function purge(tx: Transaction, request: PurgeRequest): Promise<PurgeStep> {
  const { client } = tx
  const { rows, beforeId } = await walk(client, request, 'FOR UPDATE')
  await removeDeadLetters(tx, rows)
  const { auditId, nowMs } = request
  const counts = { purged: rows.length }
  return {
    auditId: await countInAudit(client, { auditId, action: 'purge', filter: request, counts, nowMs }),
    purged: rows.length,
    beforeId,
  }
}
