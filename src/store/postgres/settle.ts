/**
 * Writes down what became of events, and gives parcels back: all that come together by the same few statements. What
 * another replica leases by now is left alone, as is what is gone: the first verdict stands.
 */
import { addPosition, makeBitmap } from '../bitmap.ts'
import { packHistory } from '../history.ts'
import { bindDeadLetter, bindParcel, dedupeKey, packLetter, readIdentity } from '../letter.ts'
import { splitEvents } from '../payload.ts'
import { bytesOfLetter } from '../share.ts'
import type { ReleaseRequest, SettleRequest } from '../sqlite/protocol.ts'
import type { DeadEvent, Settlement } from '../store.ts'
import { tellFeed } from './feed-rows.ts'
import { toLane, uniqueLanes, type LaneRow } from './lane-rows.ts'
import { forgetKeys } from './seen.ts'
import { MAY_SETTLE, type Transaction } from './transaction.ts'

/** One verdict per request; an error where a request is itself at fault: then nothing of that request was done. */
export async function settleAll(
  tx: Transaction,
  requests: readonly SettleRequest[],
): Promise<readonly (RangeError | undefined)[]> {
  await settleWhole(
    tx,
    requests.flatMap(({ wholeParcelIds }) => wholeParcelIds),
  )
  if (requests.every(({ others }) => others.length === 0)) return requests.map(() => undefined)
  const parcels = await lockParcels(
    tx,
    requests.flatMap(({ others }) => others),
  )
  const burials: Burial[] = []
  const errors = requests.map(({ others }) => {
    const error = others
      .map((settlement) => findFault(parcels, settlement))
      .find((found) => found !== undefined)
    if (error === undefined) for (const settlement of others) settleOne(parcels, settlement, burials)
    return error
  })
  await bury(tx, burials)
  await writeParcels(tx, [...parcels.values()])
  return errors
}

/** Nearly every parcel. */
async function settleWhole(tx: Transaction, parcelIds: readonly number[]): Promise<void> {
  if (parcelIds.length === 0) return
  const { rows } = await tx.client.query<LaneRow & { pending_count: number; size_bytes: number }>(
    `DELETE FROM parcels WHERE ${MAY_SETTLE} AND parcel_id = ANY($2)
     RETURNING ad_account_id, is_test, pending_count, size_bytes`,
    [tx.ownerIds, parcelIds],
  )
  for (const row of rows) {
    const pending = row.pending_count
    tx.books.count(toLane(row), { delivered: pending, queued: -pending, parcels: -1, bytes: -row.size_bytes })
  }
}

interface ParcelRow extends LaneRow {
  readonly parcel_id: number
  readonly event_count: number
  readonly size_bytes: number
  readonly received_at_ms: number
  readonly sealed: Buffer | null
  readonly pending_count: number
  readonly settled: Buffer | null
}

interface Parcel {
  readonly row: ParcelRow
  readonly settled: Uint8Array
  pending: number
  delivered: number
  rejected: number
  expired: number
}

interface Burial {
  readonly parcel: Parcel
  readonly dead: DeadEvent
  readonly diedAtMs: number
}

/** The payload comes along only where an event died: rarely. */
async function lockParcels(
  tx: Transaction,
  settlements: readonly Settlement[],
): Promise<Map<number, Parcel>> {
  const { rows } = await tx.client.query<ParcelRow>(
    `SELECT parcel_id, ad_account_id, is_test, event_count, size_bytes, pending_count, settled, received_at_ms,
       CASE WHEN parcel_id = ANY($3) THEN sealed END AS sealed
     FROM parcels WHERE ${MAY_SETTLE} AND parcel_id = ANY($2) ORDER BY parcel_id FOR UPDATE`,
    [
      tx.ownerIds,
      settlements.map(({ parcelId }) => parcelId),
      settlements.filter(({ dead }) => dead.length > 0).map(({ parcelId }) => parcelId),
    ],
  )
  return new Map(
    rows.map((row) => {
      const settled = row.settled === null ? makeBitmap(row.event_count) : Uint8Array.from(row.settled)
      const counts = { pending: row.pending_count, delivered: 0, rejected: 0, expired: 0 }
      return [row.parcel_id, { row, settled, ...counts }]
    }),
  )
}

function findFault(
  parcels: ReadonlyMap<number, Parcel>,
  { parcelId, delivered, dead }: Settlement,
): RangeError | undefined {
  const parcel = parcels.get(parcelId)
  if (parcel === undefined) return undefined
  const positions = [...(delivered === 'rest' ? [] : delivered), ...dead.map(({ index }) => index)]
  const wrong = positions.find((position) => !(position >= 0 && position < parcel.row.event_count))
  return wrong === undefined ? undefined : new RangeError(`Parcel ${parcelId} has no event ${wrong}.`)
}

function settleOne(
  parcels: ReadonlyMap<number, Parcel>,
  { parcelId, delivered, dead, settledAtMs }: Settlement,
  burials: Burial[],
): void {
  const parcel = parcels.get(parcelId)
  if (parcel === undefined || parcel.pending === 0) return
  for (const one of dead) {
    if (!addPosition(parcel.settled, one.index)) continue
    burials.push({ parcel, dead: one, diedAtMs: settledAtMs })
    parcel[one.status] += 1
    parcel.pending -= 1
  }
  const count =
    delivered === 'rest'
      ? parcel.pending
      : delivered.filter((position) => addPosition(parcel.settled, position)).length
  parcel.delivered += count
  parcel.pending -= count
}

async function bury(tx: Transaction, burials: readonly Burial[]): Promise<void> {
  if (burials.length === 0) return
  const eventsOf = new Map<Parcel, string[]>()
  for (const { parcel } of burials) {
    if (eventsOf.has(parcel)) continue
    const { ad_account_id: adAccountId, sealed } = parcel.row
    eventsOf.set(parcel, splitEvents(tx.sealer.open(sealed!, bindParcel(adAccountId))))
  }
  const letters = burials.map(({ parcel, dead, diedAtMs }) => {
    const json = eventsOf.get(parcel)![dead.index]!
    const { ad_account_id: adAccountId } = parcel.row
    const sealed = tx.sealer.seal(packLetter(dead.message, json), bindDeadLetter(adAccountId))
    return { parcel, dead, diedAtMs, history: packHistory(dead.history), sealed, ...readIdentity(json) }
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
      letters.map(({ parcel }) => parcel.row.ad_account_id),
      letters.map(({ parcel }) => parcel.row.is_test),
      letters.map(({ eventName }) => toPgText(eventName)),
      letters.map(({ eventId }) => toPgText(eventId)),
      letters.map(({ eventTimeS }) => eventTimeS),
      letters.map(({ dead }) => dead.status),
      letters.map(({ dead }) => toPgText(dead.reason)),
      letters.map(({ dead }) => dead.attempts),
      letters.map(({ parcel }) => parcel.row.received_at_ms),
      letters.map(({ diedAtMs }) => diedAtMs),
      letters.map(({ history }) => history),
      letters.map(({ sealed }) => sealed),
    ],
  )
  for (const letter of letters) {
    const [eventName, eventId] = [toPgText(letter.eventName), toPgText(letter.eventId)]
    const bytes = bytesOfLetter({ ...letter, eventName, eventId })
    tx.books.count(toLane(letter.parcel.row), { dead_bytes: bytes })
  }
  const live = letters.filter(({ parcel }) => !parcel.row.is_test)
  await forgetKeys(
    tx.client,
    live.map(({ parcel: { row }, eventName, eventId }) => ({
      key: dedupeKey(row.ad_account_id, eventName, eventId),
      parcelId: row.parcel_id,
    })),
  )
}

/** PostgreSQL's text holds any character but this one. */
function toPgText(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}

async function writeParcels(tx: Transaction, parcels: readonly Parcel[]): Promise<void> {
  const changed = parcels.filter(({ row, pending }) => pending !== row.pending_count)
  const gone = changed.filter(({ pending }) => pending === 0)
  const kept = changed.filter(({ pending }) => pending > 0)
  if (gone.length > 0) {
    await tx.client.query('DELETE FROM parcels WHERE parcel_id = ANY($1)', [
      gone.map(({ row }) => row.parcel_id),
    ])
  }
  if (kept.length > 0) {
    await tx.client.query(
      `UPDATE parcels SET pending_count = new.pending, settled = new.settled
       FROM unnest($1::bigint[], $2::integer[], $3::bytea[]) AS new (parcel_id, pending, settled)
       WHERE parcels.parcel_id = new.parcel_id`,
      [
        kept.map(({ row }) => row.parcel_id),
        kept.map(({ pending }) => pending),
        kept.map(({ settled }) => Buffer.from(settled)),
      ],
    )
  }
  for (const { row, pending, delivered, rejected, expired } of changed) {
    tx.books.count(toLane(row), {
      delivered,
      rejected,
      expired,
      queued: pending - row.pending_count,
      ...(pending === 0 ? { parcels: -1, bytes: -row.size_bytes } : {}),
    })
  }
}

/** Each parcel at most once. */
export async function releaseAll(tx: Transaction, requests: readonly ReleaseRequest[]): Promise<void> {
  const parcels = [
    ...new Map(requests.flatMap((request) => request.parcels).map((one) => [one.parcelId, one])).values(),
  ]
  if (parcels.length === 0) return
  const { rows } = await tx.client.query<LaneRow>(
    `UPDATE parcels SET owner_id = NULL, lease_batch = NULL, attempts = new.attempts, history = new.history
     FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS new (parcel_id, attempts, history)
     WHERE ${MAY_SETTLE} AND parcels.parcel_id = new.parcel_id RETURNING ad_account_id, is_test`,
    [
      tx.ownerIds,
      parcels.map(({ parcelId }) => parcelId),
      parcels.map(({ attempts }) => attempts),
      parcels.map(({ history }) => packHistory(history)),
    ],
  )
  await tellFeed(tx.client, tx.ownerId, { kind: 'lanes', lanes: uniqueLanes(rows) })
}
