/** What operators see of a queue. */
import type { QueueKey } from '../store/store.ts'
import { isHold, type OpenReason } from './breaker.ts'
import type { Queue } from './queue.ts'

export interface QueueState extends QueueKey {
  /**
   * `outage`: Pinterest says of itself that it is down, and all queues wait. `reauthorize`: the token is refused and so is
   * the grant that it came from.
   */
  readonly status: 'open' | 'paused' | 'outage' | 'reauthorize' | OpenReason
  /** When the relay tries again by itself: milliseconds from now; undefined where only slots and the call limiter hold it up. */
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
export function urgencyOf(status: QueueState['status']): 0 | 1 | 2 | 3 {
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

/** Monotonic; undefined while nothing but slots and the call limiter hold the queue's calls up. */
export function nextTryAtMs({ breaker }: Queue, outageUntilMs: number | undefined): number | undefined {
  if (breaker.status === 'closed') return outageUntilMs
  return Math.max(breaker.untilMs, outageUntilMs ?? -Infinity)
}

export function stateOf(queue: Queue, surroundings: Surroundings): QueueState {
  const { isPaused, outageUntilMs, nowMs } = surroundings
  const atMs = isPaused ? undefined : nextTryAtMs(queue, outageUntilMs)
  return {
    ...queue.key,
    status: statusOf(queue, surroundings),
    nextTryMs: atMs === undefined ? undefined : Math.max(0, Math.round(atMs - nowMs)),
    callsInFlight: queue.callsInFlight,
  }
}

/** What a person has to mend goes before what ends by itself. */
function statusOf({ breaker }: Queue, surroundings: Surroundings): QueueState['status'] {
  const isOutage = surroundings.outageUntilMs !== undefined
  if (surroundings.isPaused) return 'paused'
  if (breaker.status === 'open' && breaker.reason === 'unauthorized' && surroundings.needsConsent)
    return 'reauthorize'
  if (breaker.status === 'open' && (isHold(breaker.reason) || !isOutage)) return breaker.reason
  return isOutage ? 'outage' : 'open'
}
