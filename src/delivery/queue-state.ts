/** What operators see of a queue. */
import type { QueueKey } from '../store/store.ts'
import type { Queue } from './queue.ts'
import type { QueueStatus } from './queue-status.ts'
import { stopOf, type Stop, type StopConditions } from './scheduler.ts'

export interface QueueState extends QueueKey {
  readonly status: QueueStatus
  /** When the relay tries again by itself: milliseconds from now; undefined where only slots and the call limiter hold it up. */
  readonly nextTryMs: number | undefined
  readonly callsInFlight: number
}

export interface Surroundings extends StopConditions {
  /** The account gets a new token only when a person consents. */
  readonly needsConsent: boolean
  readonly nowMs: number
}

export function stateOf(queue: Queue, surroundings: Surroundings): QueueState {
  const stop = stopOf(queue, surroundings)
  const isTimed = stop !== undefined && stop.untilMs < Infinity
  return {
    ...queue.key,
    status: statusOf(queue, stop, surroundings),
    nextTryMs: isTimed ? Math.max(0, Math.round(stop.untilMs - surroundings.nowMs)) : undefined,
    callsInFlight: queue.calls.size,
  }
}

function statusOf(queue: Queue, stop: Stop | undefined, { needsConsent }: Surroundings): QueueStatus {
  if (stop === undefined) return queue.isAsking || queue.isCanaryOut ? 'asking' : 'sending'
  return stop.reason === 'unauthorized' && needsConsent ? 'reauthorize' : stop.reason
}
