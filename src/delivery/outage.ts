/**
 * The breaker for all accounts: Pinterest says of itself that it is down (code 4197). Its states are a breaker's (see
 * breaker.ts): after some such answers in a row no queue calls, but for one trial in all when the pause is over.
 *
 * Only that code opens it: an account that nobody answers says nothing about the others. Queues that asked meanwhile are
 * blocked here, and asked again when the trial has ended or may leave.
 */
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { CallOutcome } from '../pinterest/outcome.ts'
import {
  afterCall,
  learn,
  learnedOf,
  CLOSED,
  type CallResult,
  type Breaker,
  type LearnedBreaker,
} from './breaker.ts'
import type { Decision } from './decision.ts'

export interface Outage<L> {
  /** Whether a call may leave; if not, the queue is asked again in time. */
  passes(queue: L): boolean
  /** The queue was refused, and is asked again when that may change. */
  blocks(queue: L): boolean
  /** A call leaves: answers whether it is the trial. */
  left(): boolean
  ended(outcome: CallOutcome, decision: Decision, wasTrial: boolean): void
  /** Another replica learned this by a call of its own. */
  learn(learned: LearnedBreaker): void
  /** When the relay tries again, monotonic; undefined while there is no outage. */
  untilMs(): number | undefined
  close(): void
}

export interface OutageOptions<L> {
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly log: Log
  /** The queue may call again, perhaps. */
  readonly onChange: (queue: L) => void
  /** It began, goes on or is over, by a call of this process. */
  readonly onBreaker?: (learned: LearnedBreaker) => void
}

/** Pinterest's code for "the service is not available", https://developers.pinterest.com/docs/api/v5/ */
const SERVICE_UNAVAILABLE_CODE = 4197

export function createOutage<L>(options: OutageOptions<L>): Outage<L> {
  const { clock, random, log, onChange } = options
  const blocked = new Set<L>()
  let breaker: Breaker = CLOSED
  let isTrialOut = false
  let cancel = () => {}

  function mayLeave(): boolean {
    return breaker.status === 'closed' || (!isTrialOut && breaker.untilMs <= clock.monotonicMs())
  }

  /** Not while a trial is out: its end unblocks. */
  function setTimer(): void {
    if (breaker.status === 'closed' || isTrialOut) return
    cancel()
    cancel = clock.after(Math.max(1, breaker.untilMs - clock.monotonicMs()), unblock)
  }

  function unblock(): void {
    const queues = [...blocked]
    blocked.clear()
    for (const queue of queues) onChange(queue)
  }

  function move(result: CallResult, wasTrial: boolean): void {
    const before = breaker
    become(afterCall(breaker, result, wasTrial, clock.monotonicMs(), random()))
    const isNews = breaker !== before && (breaker.status === 'open' || before.status === 'open')
    if (isNews) options.onBreaker?.(learnedOf(breaker, clock.monotonicMs()))
  }

  function become(next: Breaker): void {
    const before = breaker.status
    breaker = next
    cancel()
    if (breaker.status === 'open') {
      setTimer()
      const delayMs = breaker.untilMs - clock.monotonicMs()
      if (before === 'closed')
        log.error({ reason: 'outage', delay_ms: Math.round(delayMs) }, 'all queues wait')
    } else {
      if (before === 'open') log.warn({ reason: 'outage' }, 'all queues go on')
      unblock()
    }
  }

  return {
    passes(queue) {
      if (mayLeave()) return true
      blocked.add(queue)
      // Anew each time: whoever is refused is waited for.
      setTimer()
      return false
    },
    blocks: (queue) => blocked.has(queue),
    left() {
      isTrialOut ||= breaker.status === 'open'
      return breaker.status === 'open'
    },
    ended(outcome, decision, wasTrial) {
      if (wasTrial) isTrialOut = false
      const result = readResult(outcome, decision, wasTrial)
      // What was in flight when it opened says nothing new.
      if (result && (wasTrial || breaker.status === 'closed')) move(result, wasTrial)
    },
    learn(learned) {
      const next = learn(breaker, learned, clock.monotonicMs())
      if (next !== breaker) become(next)
    },
    untilMs: () => (breaker.status === 'open' ? breaker.untilMs : undefined),
    close() {
      cancel()
      blocked.clear()
    },
  }
}

/** Undefined: no news about the service. A trial always brings some. */
function readResult(outcome: CallOutcome, { action }: Decision, wasTrial: boolean): CallResult | undefined {
  if (action !== 'retry') return { kind: 'answered' }
  const isOut = outcome.kind === 'answered' && outcome.code === SERVICE_UNAVAILABLE_CODE
  return isOut || wasTrial ? { kind: 'failed' } : undefined
}
