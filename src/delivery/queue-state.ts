/** What operators see of a queue. */
import type { QueueKey } from '../store/store.ts'
import type { OpenReason } from './breaker.ts'
import type { Queue } from './queue.ts'
import { stopOf, type Stop, type StopConditions } from './scheduler.ts'

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

export interface Surroundings extends StopConditions {
  /** Only a person's consent brings a new token. */
  readonly needsConsent: boolean
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

export function stateOf(queue: Queue, surroundings: Surroundings): QueueState {
  const stop = stopOf(queue, surroundings)
  const isTimed = stop !== undefined && stop.untilMs < Infinity
  return {
    ...queue.key,
    status: statusOf(stop, surroundings),
    nextTryMs: isTimed ? Math.max(0, Math.round(stop.untilMs - surroundings.nowMs)) : undefined,
    callsInFlight: queue.calls.size,
  }
}

function statusOf(stop: Stop | undefined, { needsConsent }: Surroundings): QueueState['status'] {
  if (stop === undefined) return 'open'
  if (stop.reason === 'pinterest_down') return 'outage'
  return stop.reason === 'unauthorized' && needsConsent ? 'reauthorize' : stop.reason
}
