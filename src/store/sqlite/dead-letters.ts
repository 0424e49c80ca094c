/**
 * Keeps what was refused for good or grew too old, for a person to look at. The event is sealed, and with it Pinterest's
 * text on it: that was scrubbed, but nobody can promise that it says nothing of a customer.
 */
import { splitEvents } from '../payload.ts'
import type { DeadEvent, DeadLetter, DeadLetterQuery } from '../store.ts'
import { prepareRows } from './connection.ts'
import { bindDeadLetter, bindParcel, type Queue } from './queue.ts'
import { dedupeKey } from './seen.ts'

export interface Burial {
  readonly parcelId: number
  readonly laneId: number
  readonly dead: readonly DeadEvent[]
  readonly firstSeenAtMs: number
  readonly diedAtMs: number
}

/** Death is rare: only then is the payload opened and read, and the event forgotten so that a mended one goes through. */
export function createBurial({ db, lanes, sealer, seen }: Queue): (burial: Burial) => void {
  const selectSealed = prepareRows<[sealed: Uint8Array]>(
    db,
    'SELECT sealed FROM payloads WHERE parcel_id = ?',
  )
  const insert = db.prepare(
    `INSERT INTO dead_letters (lane_id, event_name, event_id, status, reason, attempts, first_seen_at_ms, died_at_ms,
       sealed)
     VALUES ($laneId, $eventName, $eventId, $status, $reason, $attempts, $firstSeenAtMs, $diedAtMs, $sealed)`,
  )

  return function bury({ parcelId, laneId, dead, firstSeenAtMs, diedAtMs }) {
    if (dead.length === 0) return
    const { adAccountId, isTest } = lanes.keyOf(laneId)
    const [parcel] = selectSealed.get(parcelId)!
    const events = splitEvents(sealer.open(parcel, bindParcel(adAccountId)))
    for (const { index, status, reason, message, attempts } of dead) {
      const json = events[index]!
      const { eventName, eventId } = readIdentity(json)
      const sealed = sealer.seal(packLetter(message, json), bindDeadLetter(adAccountId))
      const identity = { laneId, eventName, eventId }
      insert.run({ ...identity, status, reason, attempts, firstSeenAtMs, diedAtMs, sealed })
      if (!isTest) seen.forget(dedupeKey(adAccountId, eventName, eventId), parcelId)
    }
  }
}

export function createDeadLetterSearch({
  db,
  lanes,
  sealer,
}: Queue): (query: DeadLetterQuery) => DeadLetter[] {
  const search = db.prepare(
    `SELECT id, lane_id, event_name, event_id, status, reason, attempts, first_seen_at_ms, died_at_ms, sealed
     FROM dead_letters
     WHERE id < $beforeId AND reason = COALESCE($reason, reason) AND event_name = COALESCE($eventName, event_name)
       AND ($adAccountId IS NULL OR lane_id IN (SELECT lane_id FROM lanes WHERE ad_account_id = $adAccountId))
     ORDER BY id DESC LIMIT $limit`,
  )

  return ({
    adAccountId = null,
    reason = null,
    eventName = null,
    beforeId = Number.MAX_SAFE_INTEGER,
    limit,
  }) =>
    search.all({ adAccountId, reason, eventName, beforeId, limit }).map((row) => {
      const lane = lanes.keyOf(Number(row['lane_id']))
      const letter = sealer.open(row['sealed'] as Uint8Array, bindDeadLetter(lane.adAccountId))
      return {
        ...lane,
        id: Number(row['id']),
        eventName: String(row['event_name']),
        eventId: String(row['event_id']),
        status: row['status'] === 'expired' ? 'expired' : 'rejected',
        reason: String(row['reason']),
        message: messageOf(letter),
        attempts: Number(row['attempts']),
        firstSeenAtMs: Number(row['first_seen_at_ms']),
        diedAtMs: Number(row['died_at_ms']),
      }
    })
}

/** The relay wrote this JSON itself; a field that is no text would be its own fault and must not stop a settlement. */
function readIdentity(json: string): { eventName: string; eventId: string } {
  const { event_name: eventName, event_id: eventId } = JSON.parse(json) as Readonly<Record<string, unknown>>
  return { eventName: toText(eventName), eventId: toText(eventId) }
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The message, a line feed, the event's JSON: neither holds a line feed itself. */
function packLetter(message: string, json: string): Uint8Array {
  return Buffer.from(`${message.replaceAll('\n', ' ')}\n${json}`)
}

function messageOf(letter: Uint8Array): string {
  return Buffer.from(letter).toString('utf8').split('\n', 1)[0]!
}
