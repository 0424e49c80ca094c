/**
 * Reads what can still be read of a queue that was set aside: every parcel and every dead letter whose own pages are
 * whole, whatever happened to the rest of the file. A payload proves itself: it opens under the relay's key for its
 * account, or it is not taken.
 *
 * What cannot be known is not guessed: a parcel of which nobody can tell whether it is live or a test is counted as
 * unreadable, since a test event that is sent as a live one cannot be taken back. Of a parcel whose row in the queue is
 * lost, all events are taken as pending: an event that Pinterest gets twice has the same id.
 */
import type { Sealer } from '../../../vault/seal.ts'
import { omitEvents, splitEvents } from '../../payload.ts'
import type { LaneKey } from '../../store.ts'
import { listPositions } from '../../bitmap.ts'
import type { SalvagedLetter, SalvagedParcel, SalvageSteps } from '../protocol.ts'
import { bindDeadLetter, bindParcel, dedupeKey } from '../../letter.ts'
import { find, findSeen, readAt, type Found, type QueueRow } from './find.ts'
import type { Pages } from './pages.ts'
import type { Value } from './records.ts'

/** What goes to the store in one transaction: small, so that commits pass in between. */
export interface SalvageStep extends SalvageSteps {
  /** Parcels and letters that were found and cannot be taken. */
  readonly unreadable: number
}

export interface SalvageSource {
  readonly pages: Pages
  readonly sealer: Sealer
  /** Of the vault: tried for a parcel whose lane is lost. */
  readonly adAccountIds: readonly string[]
}

const STEP_ITEMS = 100
const STEP_BYTES = 4 * 1024 * 1024

export function* readSalvage(source: SalvageSource): Generator<SalvageStep> {
  const found = find(source.pages)
  const laneOf = createLaneSearch(source, found)
  yield* inSteps(found.payloads.keys(), (id) => {
    const parcel = readParcel(source, found, laneOf, id)
    return parcel && { parcels: [parcel], letters: [], bytes: parcel.commit.payload.byteLength }
  })
  yield* inSteps(found.letters.keys(), (id) => {
    const letter = readLetter(source, found, id)
    return letter && { parcels: [], letters: [letter], bytes: letter.content.byteLength }
  })
}

interface Item extends SalvageSteps {
  readonly bytes: number
}

/** In the order of their ids, so that one number tells how far a salvage has come. */
function* inSteps(ids: Iterable<number>, read: (id: number) => Item | undefined): Generator<SalvageStep> {
  let items: Item[] = []
  let unreadable = 0
  const step = (): SalvageStep => ({
    parcels: items.flatMap(({ parcels }) => parcels),
    letters: items.flatMap(({ letters }) => letters),
    unreadable,
  })
  for (const id of [...ids].toSorted((a, b) => a - b)) {
    const item = read(id)
    if (item === undefined) unreadable += 1
    else items.push(item)
    if (items.length < STEP_ITEMS && items.reduce((sum, { bytes }) => sum + bytes, 0) < STEP_BYTES) continue
    yield step()
    items = []
    unreadable = 0
  }
  yield step()
}

interface Opened {
  readonly lane: LaneKey
  readonly payload: Uint8Array
}

type LaneSearch = (laneId: number, sealed: Buffer) => Opened | undefined

function readParcel(
  { pages }: SalvageSource,
  { payloads, queue }: Found,
  laneOf: LaneSearch,
  parcelId: number,
): SalvagedParcel | undefined {
  for (const place of payloads.get(parcelId)!) {
    const [, laneId, , , sealed] = readAt(pages, place) ?? []
    const opened = sealed instanceof Buffer ? laneOf(Number(laneId), sealed) : undefined
    const parcel = opened && toParcel(parcelId, opened, queue.get(parcelId))
    if (parcel !== undefined) return parcel
  }
  return undefined
}

/** Undefined when all of its events are settled. */
function toParcel(parcelId: number, { lane, payload }: Opened, row: QueueRow | undefined) {
  const settled = row?.settled ? listPositions(row.settled) : []
  const pending = omitEvents(payload, settled)
  if (pending === undefined) return undefined
  const events = splitEvents(pending).map(identityOf)
  return {
    parcelId,
    attempts: row?.attempts ?? 0,
    history: row?.history ?? null,
    commit: {
      ...lane,
      payload: pending,
      identities: lane.isTest ? [] : events.flatMap(({ eventName, eventId }) => [eventName, eventId]),
      eventTimesS: events.map(({ eventTimeS }) => eventTimeS),
      refusedCount: 0,
      // Ids begin each run with the time, in microseconds.
      receivedAtMs: row?.receivedAtMs ?? Math.floor(parcelId / 1000),
    },
  }
}

function identityOf(json: string): { eventName: string; eventId: string; eventTimeS: number } {
  const event = JSON.parse(json) as Readonly<Record<string, unknown>>
  const { event_name: eventName, event_id: eventId, event_time: eventTimeS } = event
  return {
    eventName: typeof eventName === 'string' ? eventName : '',
    eventId: typeof eventId === 'string' ? eventId : '',
    eventTimeS: typeof eventTimeS === 'number' ? eventTimeS : 0,
  }
}

function createLaneSearch({ pages, sealer, adAccountIds }: SalvageSource, found: Found): LaneSearch {
  const { lanes } = found
  const known = [...lanes.values()]
  const candidates = [...new Set([...adAccountIds, ...known.map(({ adAccountId }) => adAccountId)])]
  let seen: Set<string> | undefined

  function open(adAccountId: string, sealed: Buffer): Uint8Array | undefined {
    try {
      return sealer.open(sealed, bindParcel(adAccountId))
    } catch {
      return undefined
    }
  }

  /** Each account has one live lane and one for tests: if the one is known to be another lane, this is the other. */
  function isTestLane(laneId: number, adAccountId: string, payload: Uint8Array): boolean | undefined {
    const other = [...lanes].find(([id, lane]) => id !== laneId && lane.adAccountId === adAccountId)
    if (other !== undefined) return !other[1].isTest
    seen ??= findSeen(pages, new Set(found.payloads.keys()))
    const isLive = splitEvents(payload).some((json) => {
      const { eventName, eventId } = identityOf(json)
      return seen!.has(Buffer.from(dedupeKey(adAccountId, eventName, eventId)).toString('hex'))
    })
    return isLive ? false : undefined
  }

  return function laneOf(laneId, sealed) {
    const lane = lanes.get(laneId)
    const payload = lane && open(lane.adAccountId, sealed)
    if (lane !== undefined && payload !== undefined) return { lane, payload }
    for (const adAccountId of candidates) {
      const opened = open(adAccountId, sealed)
      if (opened === undefined) continue
      const isTest = isTestLane(laneId, adAccountId, opened)
      return isTest === undefined ? undefined : { lane: { adAccountId, isTest }, payload: opened }
    }
    return undefined
  }
}

/** A letter of a lost lane is left where it is: nobody could tell whether it was live. */
function readLetter(
  { pages, sealer }: SalvageSource,
  { letters, lanes }: Found,
  letterId: number,
): SalvagedLetter | undefined {
  for (const place of letters.get(letterId)!) {
    const values = readAt(pages, place)
    const lane = values && lanes.get(Number(values[1]))
    const letter = lane && toLetter(sealer, letterId, lane, values)
    if (letter !== undefined) return letter
  }
  return undefined
}

function toLetter(
  sealer: Sealer,
  letterId: number,
  lane: LaneKey,
  values: readonly Value[],
): SalvagedLetter | undefined {
  const [, , eventName, eventId, eventTimeS, status, reason, attempts, firstSeenAtMs, diedAtMs] = values
  const [history, sealed] = values.slice(10)
  if (status !== 'rejected' && status !== 'expired') return undefined
  try {
    const content = sealer.open(sealed as Buffer, bindDeadLetter(lane.adAccountId))
    return {
      lane,
      letterId,
      eventName: String(eventName),
      eventId: String(eventId),
      eventTimeS: Number(eventTimeS),
      status,
      reason: String(reason),
      attempts: Number(attempts),
      firstSeenAtMs: Number(firstSeenAtMs),
      diedAtMs: Number(diedAtMs),
      history: history as string | null,
      content,
    }
  } catch {
    return undefined
  }
}
