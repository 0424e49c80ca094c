/**
 * Keeps what was refused for good or grew too old, for a person to look at. The event is sealed, and with it Pinterest's
 * text on it: that was scrubbed, but nobody can promise that it says nothing of a customer.
 */
import { bindDeadLetter, bindParcel, dedupeKey, packLetter, readIdentity } from '../letter.ts'
import { splitEvents } from '../payload.ts'
import type { DeadEvent } from '../store.ts'
import { prepareRows } from './connection.ts'
import { packHistory } from '../history.ts'
import type { Queue } from './queue.ts'

export interface Burial {
  readonly parcelId: number
  readonly laneId: number
  readonly dead: readonly DeadEvent[]
  readonly firstSeenAtMs: number
  readonly diedAtMs: number
}

/** Death is rare: only then is the payload opened and read, and the event forgotten so that a mended one goes through. */
export function createBurial({ db, lanes, letters, sealer, seen }: Queue): (burial: Burial) => void {
  const selectSealed = prepareRows<[sealed: Uint8Array]>(
    db,
    'SELECT sealed FROM payloads WHERE parcel_id = ?',
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
      letters.add({ laneId, ...identity, ...fate, sealed })
      if (!isTest) seen.forget(dedupeKey(adAccountId, identity.eventName, identity.eventId), parcelId)
    }
  }
}
