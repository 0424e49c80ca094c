/** Which events of a waiting parcel have grown too old, and what becomes of the parcel; the same in both stores. */
import { unpackHistory } from './history.ts'
import { readEventTimeS, TOO_OLD_MESSAGE } from './letter.ts'
import { splitEvents } from './payload.ts'
import type { DeadEvent, ExpireRequest, Settlement } from './store.ts'

/** A step ends after so many events, even when they are those of a few parcels: some 20 ms of burials. */
export const EXPIRE_STEP_EVENTS = 1000

export interface WaitingParcel {
  readonly parcelId: number
  readonly oldestEventTimeS: number
  readonly eventCount: number
  /** Positions of the events that are settled already. */
  readonly settled: readonly number[]
  readonly attempts: number
  readonly history: string | null
}

export interface AgeVerdict {
  readonly settlement: Settlement
  /** Of what is left of it; undefined when nothing is. */
  readonly oldestS: number | undefined
}

/** Undefined when the parcel cannot be read: `open` throws, or what it answers holds no events. */
export function judgeAge(
  parcel: WaitingParcel,
  open: () => Uint8Array,
  { oldestEventTimeS, nowMs }: ExpireRequest,
): AgeVerdict | undefined {
  const { parcelId, eventCount, settled, attempts, history } = parcel
  const timesS = readTimes(parcel, open)
  if (timesS === undefined) return undefined
  const gone = new Set(settled)
  const pending = Array.from({ length: eventCount }, (_, index) => index).filter((index) => !gone.has(index))
  const why = {
    status: 'expired' as const,
    reason: 'too_old',
    message: TOO_OLD_MESSAGE,
    attempts,
    history: [...unpackHistory(history), { atMs: nowMs, reason: 'too_old' }],
  }
  const dead: DeadEvent[] = pending
    .filter((index) => timesS[index]! < oldestEventTimeS)
    .map((index) => ({ index, ...why }))
  const keptTimesS = pending.map((index) => timesS[index]!).filter((timeS) => timeS >= oldestEventTimeS)
  return {
    settlement: { parcelId, delivered: [], dead, settledAtMs: nowMs },
    oldestS: keptTimesS.length === 0 ? undefined : Math.min(...keptTimesS),
  }
}

/** What has no time that can be read counts as the oldest: it is looked at once, and not forever. */
function readTimes({ oldestEventTimeS }: WaitingParcel, open: () => Uint8Array): number[] | undefined {
  try {
    return splitEvents(open()).map(
      (json) => readEventTimeS(JSON.parse(json) as Readonly<Record<string, unknown>>) ?? oldestEventTimeS,
    )
  } catch {
    return undefined
  }
}
