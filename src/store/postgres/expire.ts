/** Makes dead letters of live events that grew too old while their parcels waited, oldest first over all lanes. */
import { listPositions } from '../bitmap.ts'
import { unpackHistory } from '../history.ts'
import { bindParcel, readEventTimeS, TOO_OLD_MESSAGE } from '../letter.ts'
import { splitEvents } from '../payload.ts'
import type { ExpireStep } from '../sqlite/protocol.ts'
import type { ExpireRequest, Settlement } from '../store.ts'
import { toLane, type LaneRow } from './lane-rows.ts'
import { settleAll } from './settle.ts'
import type { Transaction } from './transaction.ts'

/** A step ends after so many events. */
const STEP_EVENTS = 1000

interface Candidate extends LaneRow {
  readonly parcel_id: number
  readonly oldest_event_time_s: number
  readonly event_count: number
  readonly settled: Buffer | null
  readonly attempts: number
  readonly history: string | null
  readonly sealed: Buffer
}

interface Verdict {
  readonly candidate: Candidate
  readonly settlement: Settlement
  /** Of what is left of it; undefined when nothing is. */
  readonly oldestS: number | undefined
}

export async function expire(tx: Transaction, request: ExpireRequest): Promise<ExpireStep> {
  const { client } = tx
  const { oldestEventTimeS, limit, nowMs } = request
  const { rows } = await client.query<Candidate>(
    `SELECT * FROM parcels WHERE owner_id IS NULL AND NOT is_test AND oldest_event_time_s < $1
     ORDER BY oldest_event_time_s, parcel_id LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [oldestEventTimeS, limit],
  )
  const verdicts: Verdict[] = []
  const unreadable: number[] = []
  let expired = 0
  let looked = 0
  for (const candidate of rows) {
    if (expired >= STEP_EVENTS) break
    looked += 1
    const verdict = judge(tx, candidate, request)
    if (verdict === undefined) unreadable.push(candidate.parcel_id)
    else {
      verdicts.push(verdict)
      expired += verdict.settlement.dead.length
    }
  }
  const settlements = verdicts.map(({ settlement }) => settlement)
  await settleAll(tx, [{ wholeParcelIds: [], settledAtMs: nowMs, others: settlements }])
  const moved = verdicts.filter(({ oldestS }) => oldestS !== undefined)
  if (moved.length > 0) {
    await client.query(
      `UPDATE parcels SET oldest_event_time_s = new.oldest FROM unnest($1::bigint[], $2::bigint[]) AS new (id, oldest)
       WHERE parcel_id = new.id`,
      [moved.map(({ candidate }) => candidate.parcel_id), moved.map(({ oldestS }) => oldestS)],
    )
  }
  if (unreadable.length > 0) {
    // Left in the store but out of the way, as where it is leased.
    await client.query('UPDATE parcels SET owner_id = $1, lease_batch = $2 WHERE parcel_id = ANY($3)', [
      tx.ownerId,
      tx.batch,
      unreadable,
    ])
  }
  return { expired, hasMore: looked < rows.length || rows.length === limit }
}

function judge(
  tx: Transaction,
  candidate: Candidate,
  { oldestEventTimeS, nowMs }: ExpireRequest,
): Verdict | undefined {
  const { parcel_id: parcelId, event_count: eventCount, settled, attempts, history } = candidate
  const timesS = readTimes(tx, candidate)
  if (timesS === undefined) return undefined
  const gone = new Set(settled === null ? [] : listPositions(settled))
  const pending = Array.from({ length: eventCount }, (_, index) => index).filter((index) => !gone.has(index))
  const old = pending.filter((index) => timesS[index]! < oldestEventTimeS)
  const why = {
    status: 'expired' as const,
    reason: 'too_old',
    message: TOO_OLD_MESSAGE,
    attempts,
    history: [...unpackHistory(history), { atMs: nowMs, reason: 'too_old' }],
  }
  const dead = old.map((index) => ({ index, ...why }))
  const kept = pending.map((index) => timesS[index]!).filter((timeS) => timeS >= oldestEventTimeS)
  return {
    candidate,
    settlement: { parcelId, delivered: [], dead, settledAtMs: nowMs },
    oldestS: kept.length === 0 ? undefined : Math.min(...kept),
  }
}

/** What has no time that can be read counts as the oldest: it is looked at once, and not forever. */
function readTimes(tx: Transaction, row: Candidate): number[] | undefined {
  try {
    return splitEvents(tx.sealer.open(row.sealed, bindParcel(row.ad_account_id))).map(
      (json) =>
        readEventTimeS(JSON.parse(json) as Readonly<Record<string, unknown>>) ?? row.oldest_event_time_s,
    )
  } catch {
    tx.report({ problem: 'parcel_unreadable', lane: toLane(row), parcelId: row.parcel_id })
    return undefined
  }
}
