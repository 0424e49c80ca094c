/** Makes dead letters of live events that grew too old while their parcels waited, oldest first over all lanes. */
import { listPositions } from '../bitmap.ts'
import { EXPIRE_STEP_EVENTS, judgeAge, type AgeVerdict } from '../expiry.ts'
import { bindParcel } from '../letter.ts'
import type { ExpireStep } from '../sqlite/protocol.ts'
import type { ExpireRequest } from '../store.ts'
import { toLane, type LaneRow } from './lane-rows.ts'
import { settleAll } from './settle.ts'
import type { Transaction } from './transaction.ts'

interface Candidate extends LaneRow {
  readonly parcel_id: number
  readonly oldest_event_time_s: number
  readonly event_count: number
  readonly settled: Buffer | null
  readonly attempts: number
  readonly history: string | null
  readonly sealed: Buffer
}

interface Verdict extends AgeVerdict {
  readonly candidate: Candidate
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
    if (expired >= EXPIRE_STEP_EVENTS) break
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

function judge(tx: Transaction, candidate: Candidate, request: ExpireRequest): Verdict | undefined {
  const { parcel_id: parcelId, settled, sealed } = candidate
  const parcel = {
    parcelId,
    oldestEventTimeS: candidate.oldest_event_time_s,
    eventCount: candidate.event_count,
    settled: settled === null ? [] : listPositions(settled),
    attempts: candidate.attempts,
    history: candidate.history,
  }
  const verdict = judgeAge(parcel, () => tx.sealer.open(sealed, bindParcel(candidate.ad_account_id)), request)
  if (verdict === undefined) {
    tx.report({ problem: 'parcel_unreadable', lane: toLane(candidate), parcelId })
    return undefined
  }
  return { candidate, ...verdict }
}
