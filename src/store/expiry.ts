/** Which events of a waiting batch have grown too old, and what becomes of the batch; the same in both stores. */
import { unpackHistory } from './history.ts'
import { readEventTimeS, TOO_OLD_MESSAGE } from './dead-letter.ts'
import { splitEvents } from './payload.ts'
import type { DeadEvent, ExpireRequest, Acknowledgement } from './store.ts'

/** A step ends after so many events, even when they are those of a few batches: some 20 ms. */
export const EXPIRE_STEP_EVENTS = 1000

export interface WaitingBatch {
  readonly batchId: number
  readonly oldestEventTimeS: number
  readonly eventCount: number
  /** Positions of the events that are acknowledged already. */
  readonly acknowledged: readonly number[]
  readonly attempts: number
  readonly history: string | null
}

export interface AgeOutcome {
  readonly acknowledgement: Acknowledgement
  /** Of what is left of it; undefined when nothing is. */
  readonly oldestS: number | undefined
}

/** Undefined when the batch cannot be read: `open` throws, or what it answers holds no events. */
export function judgeAge(
  batch: WaitingBatch,
  open: () => Uint8Array,
  { oldestEventTimeS, nowMs }: ExpireRequest,
): AgeOutcome | undefined {
  const { batchId, eventCount, acknowledged, attempts, history } = batch
  const timesS = readTimes(batch, open)
  if (timesS === undefined) return undefined
  const gone = new Set(acknowledged)
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
    acknowledgement: { batchId, delivered: [], dead, acknowledgedAtMs: nowMs },
    oldestS: keptTimesS.length === 0 ? undefined : Math.min(...keptTimesS),
  }
}

/** What has no time that can be read counts as the oldest: it is looked at once, and not forever. */
function readTimes({ oldestEventTimeS }: WaitingBatch, open: () => Uint8Array): number[] | undefined {
  try {
    return splitEvents(open()).map(
      (json) => readEventTimeS(JSON.parse(json) as Readonly<Record<string, unknown>>) ?? oldestEventTimeS,
    )
  } catch {
    return undefined
  }
}
