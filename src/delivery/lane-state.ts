/** What operators see of a lane. */
import type { LaneKey } from '../store/store.ts'
import { isHold, type CloseReason } from './gate.ts'
import type { Lane } from './lane.ts'

export interface LaneState extends LaneKey {
  /**
   * `outage`: Pinterest says of itself that it is down, and all lanes wait. `reauthorize`: the token is refused and so is
   * the grant that it came from.
   */
  readonly status: 'open' | 'paused' | 'outage' | 'reauthorize' | CloseReason
  /** When the relay tries again by itself: milliseconds from now; undefined where only slots and the guard hold it up. */
  readonly nextTryMs: number | undefined
  readonly callsInFlight: number
}

export interface Surroundings {
  readonly isPaused: boolean
  /** Only a person's consent brings a new token. */
  readonly needsConsent: boolean
  /** Monotonic, when the outage is tried again; undefined: there is none. */
  readonly outageUntilMs: number | undefined
  readonly nowMs: number
}

/** 0: it calls; 1: it goes on by itself; 2: an operator paused it; 3: somebody has to mend something. */
export function urgencyOf(status: LaneState['status']): 0 | 1 | 2 | 3 {
  switch (status) {
    case 'open':
      return 0
    case 'failing':
    case 'rate_limited':
    case 'outage':
      return 1
    case 'paused':
      return 2
    case 'unauthorized':
    case 'forbidden':
    case 'wrong_address':
    case 'reauthorize':
      return 3
  }
}

/** Monotonic; undefined while nothing but slots and the guard hold the lane's calls up. */
export function nextTryAtMs({ gate }: Lane, outageUntilMs: number | undefined): number | undefined {
  if (gate.status === 'open') return outageUntilMs
  return Math.max(gate.untilMs, outageUntilMs ?? -Infinity)
}

export function stateOf(lane: Lane, surroundings: Surroundings): LaneState {
  const { isPaused, outageUntilMs, nowMs } = surroundings
  const atMs = isPaused ? undefined : nextTryAtMs(lane, outageUntilMs)
  return {
    ...lane.key,
    status: statusOf(lane, surroundings),
    nextTryMs: atMs === undefined ? undefined : Math.max(0, Math.round(atMs - nowMs)),
    callsInFlight: lane.callsInFlight,
  }
}

/** What a person has to mend goes before what ends by itself. */
function statusOf({ gate }: Lane, surroundings: Surroundings): LaneState['status'] {
  const isOutage = surroundings.outageUntilMs !== undefined
  if (surroundings.isPaused) return 'paused'
  if (gate.status === 'closed' && gate.reason === 'unauthorized' && surroundings.needsConsent)
    return 'reauthorize'
  if (gate.status === 'closed' && (isHold(gate.reason) || !isOutage)) return gate.reason
  return isOutage ? 'outage' : 'open'
}
