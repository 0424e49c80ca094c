/** What operators see of a queue. */
import type { QueueKey } from '../store/store.ts'
import { isHold } from './breaker.ts'
import type { Queue } from './queue.ts'
import type { QueueStatus } from './queue-status.ts'

export interface QueueState extends QueueKey {
  readonly status: QueueStatus
  /** Milliseconds until the relay tries again by itself; undefined where only slots and the call limiter delay calls. */
  readonly nextTryMs: number | undefined
  readonly callsInFlight: number
}

export interface Surroundings extends StopConditions {
  /** Only a person's consent brings a new token. */
  readonly needsConsent: boolean
  readonly nowMs: number
}

/** Monotonic; undefined where only slots and the call limiter delay calls. */
export function nextTryAtMs({ breaker }: Queue, outageUntilMs: number | undefined): number | undefined {
  if (breaker.status === 'open') return outageUntilMs
  return Math.max(breaker.untilMs, outageUntilMs ?? -Infinity)
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

/** A status that needs a person hides one that ends by itself. */
function statusOf({ breaker }: Queue, surroundings: Surroundings): QueueStatus {
  const isOutage = surroundings.outageUntilMs !== undefined
  if (surroundings.isPaused) return 'paused'
  if (breaker.status === 'closed' && breaker.reason === 'unauthorized' && surroundings.needsConsent)
    return 'reauthorize'
  if (breaker.status === 'closed' && (isHold(breaker.reason) || !isOutage)) return breaker.reason
  return isOutage ? 'pinterest_down' : 'sending'
}
