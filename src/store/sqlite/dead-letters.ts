/**
 * Keeps what was refused for good or grew too old, for a person to look at. The event is sealed, and with it Pinterest's
 * text on it: that was scrubbed, but nobody can promise that it says nothing of a customer.
 */
import type { Sealer } from '../../vault/seal.ts'
import { splitEvents } from '../payload.ts'
import type { DeadEvent } from '../store.ts'
import { prepareRows } from './connection.ts'
import { packHistory } from './history.ts'
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
    `INSERT INTO dead_letters (lane_id, event_name, event_id, event_time_s, status, reason, attempts, first_seen_at_ms,
       died_at_ms, history, sealed)
     VALUES ($laneId, $eventName, $eventId, $eventTimeS, $status, $reason, $attempts, $firstSeenAtMs, $diedAtMs,
       $history, $sealed)`,
  )

  return function bury({ parcelId, laneId, dead, firstSeenAtMs, diedAtMs }) {
    if (dead.length === 0) return
    const { adAccountId, isTest } = lanes.keyOf(laneId)
    const [parcel] = selectSealed.get(parcelId)!
    const events = splitEvents(sealer.open(parcel, bindParcel(adAccountId)))
    for (const { index, status, reason, message, attempts, history } of dead) {
      const json = events[index]!
      const identity = readIdentity(json)
      const sealed = sealer.seal(packLetter(message, json), bindDeadLetter(adAccountId))
      const fate = { status, reason, attempts, history: packHistory(history), firstSeenAtMs, diedAtMs }
      insert.run({ laneId, ...identity, ...fate, sealed })
      if (!isTest) seen.forget(dedupeKey(adAccountId, identity.eventName, identity.eventId), parcelId)
    }
  }
}

export interface LetterContent {
  readonly message: string
  /** The event's JSON. */
  readonly json: string
}

/** Undefined when no key opens it. */
export function openLetter(
  sealer: Sealer,
  adAccountId: string,
  sealed: Uint8Array,
): LetterContent | undefined {
  let text: string
  try {
    text = Buffer.from(sealer.open(sealed, bindDeadLetter(adAccountId))).toString('utf8')
  } catch {
    return undefined
  }
  const end = text.indexOf('\n')
  return { message: text.slice(0, end), json: text.slice(end + 1) }
}

/** The message, a line feed, the event's JSON: neither holds a line feed itself. */
function packLetter(message: string, json: string): Uint8Array {
  return Buffer.from(`${message.replaceAll('\n', ' ')}\n${json}`)
}

/** The relay wrote this JSON itself; a wrong field would be its own fault and must not stop a settlement. */
function readIdentity(json: string): { eventName: string; eventId: string; eventTimeS: number } {
  const event = JSON.parse(json) as Readonly<Record<string, unknown>>
  return {
    eventName: toText(event['event_name']),
    eventId: toText(event['event_id']),
    eventTimeS: readEventTimeS(event) ?? 0,
  }
}

export function readEventTimeS({ event_time: timeS }: Readonly<Record<string, unknown>>): number | undefined {
  return typeof timeS === 'number' ? Math.floor(timeS) : undefined
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
