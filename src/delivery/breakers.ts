/**
 * The circuit breakers of this process: one per queue, and one for all accounts, which code 4197 opens ("the service is not
 * available"). breaker.ts decides their states; here changes are logged, told to other replicas, and the queues asked again.
 */
import type { CallOutcome } from '../pinterest/outcome.ts'
import type { SharedBreaker } from '../store/shared.ts'
import type { QueueKey } from '../store/store.ts'
import {
  afterCall,
  allowTrial,
  CLOSED,
  isHold,
  learn,
  learnedOf,
  resultForAll,
  type Breaker,
  type CallResult,
} from './breaker.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight, Queue } from './queue.ts'

export interface BreakersOptions extends Pick<DeliveryOptions, 'clock' | 'random' | 'log' | 'onBreaker'> {
  /** The breaker for all changed: every queue must be asked again. */
  readonly onChangeForAll: () => void
}

export type Breakers = ReturnType<typeof createBreakers>

/** A queue, or all of them. */
interface Holder {
  readonly key: QueueKey
  breaker: Breaker
  /** Called when it closes. */
  wakeAll?(): void
}

/** Stands for all queues: no account has an empty name. */
export const ALL_QUEUES: QueueKey = { adAccountId: '', isTest: false }

export function createBreakers({ clock, random, log, onBreaker, onChangeForAll }: BreakersOptions) {
  const all: Holder = { key: ALL_QUEUES, breaker: CLOSED }

  function move(holder: Holder, result: CallResult, wasTrial: boolean): void {
    const before = holder.breaker
    const nowMs = clock.monotonicMs()
    become(holder, afterCall(before, result, wasTrial, nowMs, random()))
    const { key, breaker } = holder
    const isNews = breaker !== before && (breaker.status === 'open' || before.status === 'open')
    if (isNews) onBreaker?.(key, learnedOf(breaker, nowMs))
  }

  function become(holder: Holder, next: Breaker): void {
    const before = holder.breaker
    if (next === before) return
    holder.breaker = next
    report(holder, before)
    if (before.status === 'open' && next.status === 'closed') holder.wakeAll?.()
    if (holder === all) onChangeForAll()
  }

  function report(holder: Holder, before: Breaker): void {
    const { key, breaker } = holder
    if (breaker.status === 'closed') {
      if (holder === all && before.status === 'open')
        log.warn({ reason: 'pinterest_down' }, 'all queues go on')
      return
    }
    if (before.status === 'open') return
    const delay_ms = Math.round(breaker.untilMs - clock.monotonicMs())
    if (holder === all) return log.error({ reason: 'pinterest_down', delay_ms }, 'all queues wait')
    const { reason } = breaker
    const fields = { ad_account_id: key.adAccountId, is_test: key.isTest, reason, delay_ms }
    if (isHold(reason)) log.error(fields, 'queue held: Pinterest refuses the canary too')
    else log.warn(fields, 'queue waits')
  }

  return {
    all: all as Readonly<Holder>,
    /** `saysNothing` about the queue: its token was replaced during the call, or only one event is concerned. */
    ended(
      { queue, isTrial, isTrialForAll }: CallInFlight,
      outcome: CallOutcome,
      result: CallResult,
      saysNothing: boolean,
    ): void {
      move(all, resultForAll(outcome, result, isTrialForAll), isTrialForAll)
      if (!saysNothing) move(queue, result, isTrial)
    },
    /** Another replica learned this by a call of its own. */
    learn(holder: Holder, learned: SharedBreaker): void {
      become(holder, learn(holder.breaker, learned, clock.monotonicMs()))
    },
    allowTrial(queue: Queue): void {
      queue.breaker = allowTrial(queue.breaker, clock.monotonicMs())
    },
  }
}
