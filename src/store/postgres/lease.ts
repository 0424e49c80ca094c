/**
 * Hands out waiting batches: those on time, then the late ones, then replays. Each is a range of the index of what waits,
 * so that a queue with a million batches costs no more than a short one. Rows that another replica is just leasing are
 * passed over, not waited for.
 */
import { listPositions } from '../bitmap.ts'
import { unpackHistory } from '../history.ts'
import { bindBatch } from '../dead-letter.ts'
import { ON_TIME_S, type LeasedBatch, type LeaseRequest } from '../store.ts'
import type { Transaction } from './transaction.ts'

/** Rows that one look brings; most leases need one. */
const CHUNK_ROWS = 500

const RANGES = [
  'NOT is_replay AND oldest_event_time_s > $3',
  'NOT is_replay AND oldest_event_time_s <= $3',
  'is_replay AND $3::bigint IS NOT NULL',
]

interface Choice {
  readonly batch_id: number
  readonly oldest_event_time_s: number
  readonly pending_count: number
  readonly size_bytes: number
}

interface BatchRow extends Choice {
  readonly event_count: number
  readonly acknowledged: Buffer | null
  readonly attempts: number
  readonly received_at_ms: number
  readonly is_replay: boolean
  readonly history: string | null
  readonly sealed: Buffer
}

export async function lease(tx: Transaction, request: LeaseRequest): Promise<LeasedBatch[]> {
  const batches: LeasedBatch[] = []
  let events = 0
  let bytes = 0
  for (;;) {
    const chosen: number[] = []
    for await (const row of listWaiting(tx, request)) {
      const fits =
        events + row.pending_count <= request.maxEvents && bytes + row.size_bytes <= request.maxBytes
      if (!fits && batches.length + chosen.length > 0) break
      chosen.push(row.batch_id)
      events += row.pending_count
      bytes += row.size_bytes
    }
    if (chosen.length === 0) return batches
    const rows = await take(tx, chosen)
    const opened = rows.map((row) => open(tx, request, row))
    for (const batch of opened) if (batch !== undefined) batches.push(batch)
    if (opened.every((batch) => batch !== undefined)) return batches
    // What no key opens is out of the way now, and what waits behind it has its room.
    events = 0
    bytes = 0
    for (const row of rows.filter((_, index) => opened[index] !== undefined)) {
      events += row.pending_count
      bytes += row.size_bytes
    }
  }
}

async function* listWaiting(
  { client }: Transaction,
  { adAccountId, isTest, maxEvents, nowMs }: LeaseRequest,
): AsyncGenerator<Choice> {
  const edgeS = Math.floor(nowMs / 1000) - ON_TIME_S
  // Each has an event at least; one more shows that it does not fit.
  const limit = Math.min(CHUNK_ROWS, maxEvents + 1)
  for (const range of RANGES) {
    let after: readonly [number, number] = [Number.MIN_SAFE_INTEGER, 0]
    for (;;) {
      const { rows } = await client.query<Choice>(waitingSql(range), [
        adAccountId,
        isTest,
        edgeS,
        ...after,
        limit,
      ])
      yield* rows
      const last = rows.at(-1)
      if (last === undefined || rows.length < limit) break
      after = [last.oldest_event_time_s, last.batch_id]
    }
  }
}

export function waitingSql(range = RANGES[0]!): string {
  return `SELECT batch_id, oldest_event_time_s, pending_count, size_bytes FROM batches
    WHERE owner_id IS NULL AND ad_account_id = $1 AND is_test = $2 AND ${range}
      AND (oldest_event_time_s, batch_id) > ($4, $5)
    ORDER BY oldest_event_time_s, batch_id LIMIT $6 FOR UPDATE SKIP LOCKED`
}

/** In the order in which they were chosen. */
async function take(
  { client, ownerId, commitNumber }: Transaction,
  ids: readonly number[],
): Promise<BatchRow[]> {
  const { rows } = await client.query<BatchRow>(
    `UPDATE batches SET owner_id = $1, lease_number = $2 WHERE batch_id = ANY($3) RETURNING *`,
    [ownerId, commitNumber, ids],
  )
  const byId = new Map(rows.map((row) => [row.batch_id, row]))
  return ids.flatMap((id) => byId.get(id) ?? [])
}

function open(
  { sealer, report }: Transaction,
  { adAccountId, isTest }: LeaseRequest,
  row: BatchRow,
): LeasedBatch | undefined {
  let payload: Uint8Array
  try {
    payload = sealer.open(row.sealed, bindBatch(adAccountId))
  } catch {
    report({ problem: 'batch_unreadable', queue: { adAccountId, isTest }, batchId: row.batch_id })
    return undefined
  }
  return {
    adAccountId,
    isTest,
    batchId: row.batch_id,
    payload,
    eventCount: row.event_count,
    acknowledged: row.acknowledged === null ? [] : listPositions(row.acknowledged),
    oldestEventTimeS: row.oldest_event_time_s,
    receivedAtMs: row.received_at_ms,
    attempts: row.attempts,
    isReplay: row.is_replay,
    history: unpackHistory(row.history),
  }
}
