/**
 * Hands out waiting parcels: those on time, then the late ones, then replays. Each is a range of the index of what waits,
 * so that a lane with a million parcels costs no more than a short one. Rows that another replica is just leasing are
 * passed over, not waited for.
 */
import { listPositions } from '../bitmap.ts'
import { unpackHistory } from '../history.ts'
import { bindParcel } from '../letter.ts'
import { ON_TIME_S, type LeasedParcel, type LeaseRequest } from '../store.ts'
import type { Transaction } from './transaction.ts'

/** Rows that one look brings; most leases need one. */
const CHUNK_ROWS = 500

const RANGES = [
  'NOT is_replay AND oldest_event_time_s > $3',
  'NOT is_replay AND oldest_event_time_s <= $3',
  'is_replay AND $3::bigint IS NOT NULL',
]

interface Choice {
  readonly parcel_id: number
  readonly oldest_event_time_s: number
  readonly pending_count: number
  readonly size_bytes: number
}

interface ParcelRow extends Choice {
  readonly event_count: number
  readonly settled: Buffer | null
  readonly attempts: number
  readonly received_at_ms: number
  readonly is_replay: boolean
  readonly history: string | null
  readonly sealed: Buffer
}

export async function lease(tx: Transaction, request: LeaseRequest): Promise<LeasedParcel[]> {
  const parcels: LeasedParcel[] = []
  let events = 0
  let bytes = 0
  for (;;) {
    const chosen: number[] = []
    for await (const row of listWaiting(tx, request)) {
      const fits =
        events + row.pending_count <= request.maxEvents && bytes + row.size_bytes <= request.maxBytes
      if (!fits && parcels.length + chosen.length > 0) break
      chosen.push(row.parcel_id)
      events += row.pending_count
      bytes += row.size_bytes
    }
    if (chosen.length === 0) return parcels
    const rows = await take(tx, chosen)
    const opened = rows.map((row) => open(tx, request, row))
    for (const parcel of opened) if (parcel !== undefined) parcels.push(parcel)
    if (opened.every((parcel) => parcel !== undefined)) return parcels
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
      after = [last.oldest_event_time_s, last.parcel_id]
    }
  }
}

export function waitingSql(range = RANGES[0]!): string {
  return `SELECT parcel_id, oldest_event_time_s, pending_count, size_bytes FROM parcels
    WHERE owner_id IS NULL AND ad_account_id = $1 AND is_test = $2 AND ${range}
      AND (oldest_event_time_s, parcel_id) > ($4, $5)
    ORDER BY oldest_event_time_s, parcel_id LIMIT $6 FOR UPDATE SKIP LOCKED`
}

/** In the order in which they were chosen. */
async function take({ client, ownerId, batch }: Transaction, ids: readonly number[]): Promise<ParcelRow[]> {
  const { rows } = await client.query<ParcelRow>(
    `UPDATE parcels SET owner_id = $1, lease_batch = $2 WHERE parcel_id = ANY($3) RETURNING *`,
    [ownerId, batch, ids],
  )
  const byId = new Map(rows.map((row) => [row.parcel_id, row]))
  return ids.flatMap((id) => byId.get(id) ?? [])
}

function open(
  { sealer, report }: Transaction,
  { adAccountId, isTest }: LeaseRequest,
  row: ParcelRow,
): LeasedParcel | undefined {
  let payload: Uint8Array
  try {
    payload = sealer.open(row.sealed, bindParcel(adAccountId))
  } catch {
    report({ problem: 'parcel_unreadable', lane: { adAccountId, isTest }, parcelId: row.parcel_id })
    return undefined
  }
  return {
    adAccountId,
    isTest,
    parcelId: row.parcel_id,
    payload,
    eventCount: row.event_count,
    settled: row.settled === null ? [] : listPositions(row.settled),
    oldestEventTimeS: row.oldest_event_time_s,
    receivedAtMs: row.received_at_ms,
    attempts: row.attempts,
    isReplay: row.is_replay,
    history: unpackHistory(row.history),
  }
}
