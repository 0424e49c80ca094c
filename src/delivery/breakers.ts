/**
 * The circuit breakers of this process: one per queue, and one for all accounts, which code 4197 opens ("the service is not
 * available"). breaker.ts decides their states; here changes are logged, told to other replicas, and the queues asked again.
 */
import type { CallOutcome } from '../pinterest/outcome.ts'
import type { QueueKey } from '../store/store.ts'
import {
  afterCall,
  allowTrial,
  CLOSED,
  isHold,
  learn,
  learnedOf,
  resultForAll,
  resultOf,
  type Breaker,
  type CallResult,
  type LearnedBreaker,
} from './breaker.ts'
import type { CanaryDecision } from './canary.ts'
import type { CallDecision } from './decision.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight, Queue } from './queue.ts'

export interface BreakersOptions extends Pick<DeliveryOptions, 'clock' | 'random' | 'log' | 'onBreaker'> {
  /** The breaker for all changed: every queue must be asked again. */
  readonly onChangeForAll: () => void
}

export interface Breakers {
  readonly forAll: Breaker
  /** `saysNothing` about the queue: its token was replaced during the call, or only one event is concerned. */
  ended(
    call: CallInFlight,
    outcome: CallOutcome,
    decision: CallDecision | CanaryDecision,
    saysNothing: boolean,
  ): void
  /** Another replica learned this by a call of its own. */
  learn(target: Queue | 'all', learned: LearnedBreaker): void
  allowTrial(queue: Queue): void
}

interface Holder {
  readonly key: QueueKey | 'all'
  breaker: Breaker
  /** Called when it closes. */
  wakeAll?(): void
}

export function createBreakers({ clock, random, log, onBreaker, onChangeForAll }: BreakersOptions): Breakers {
  const all: Holder = { key: 'all', breaker: CLOSED }

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

  function report({ key, breaker }: Holder, before: Breaker): void {
    if (key === 'all' && before.status === 'open' && breaker.status === 'closed') {
      log.warn({ reason: 'pinterest_down' }, 'all queues go on')
    }
    if (before.status === 'open' || breaker.status === 'closed') return
    const delayMs = Math.round(breaker.untilMs - clock.monotonicMs())
    if (key === 'all') {
      log.error({ reason: 'pinterest_down', delay_ms: delayMs }, 'all queues wait')
      return
    }
    const { reason } = breaker
    const fields = { ad_account_id: key.adAccountId, is_test: key.isTest, reason, delay_ms: delayMs }
    if (isHold(reason)) log.error(fields, 'queue held: Pinterest refuses the canary too')
    else log.warn(fields, 'queue waits')
  }

  return {
    get forAll() {
      return all.breaker
    },
    ended({ queue, isTrial, isTrialForAll }, outcome, decision, saysNothing) {
      const result = resultForAll(outcome, decision, isTrialForAll)
      if (result) move(all, result, isTrialForAll)
      const resultForQueue = saysNothing ? undefined : resultOf(decision)
      if (resultForQueue) move(queue, resultForQueue, isTrial)
    },
    learn(target, learned) {
      const holder = target === 'all' ? all : target
      become(holder, learn(holder.breaker, learned, clock.monotonicMs()))
    },
    allowTrial: (queue) => void (queue.breaker = allowTrial(queue.breaker, clock.monotonicMs())),
  }
}
