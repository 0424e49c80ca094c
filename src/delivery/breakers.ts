/**
 * The circuit breakers of this process: one per queue, and one for all accounts, which code 4197 opens ("the service is not
 * available"). Their states are decided at the end of this file, purely; changes are logged and published to other replicas, and the
 * scheduler runs again.
 */
import type { CallOutcome } from '../pinterest/pinterest.ts'
import type { SharedBreaker } from '../store/shared.ts'
import type { QueueKey } from '../store/store.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight, Queue } from './queue.ts'
import { failedMs, limitedMs } from './retry.ts'
import { HOLD_REASONS, type HoldReason } from './decision.ts'

export interface BreakersOptions extends Pick<DeliveryOptions, 'clock' | 'random' | 'log' | 'onBreaker'> {
  /** The breaker for all changed: every queue must be asked again. */
  readonly onChangeForAll: () => void
}

export type Breakers = ReturnType<typeof createBreakers>

/** A queue, or all of them. */
interface Holder {
  readonly key: QueueKey
  breaker: Breaker
  /** Called when it closes, of what waits after failed calls. */
  endRests?(nowMs: number): void
}

/** Means all queues: no account has an empty name. */
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
    if (before.status === 'open' && next.status === 'closed') holder.endRests?.(Infinity)
    if (holder === all) onChangeForAll()
  }

  function report(holder: Holder, before: Breaker): void {
    const { key, breaker } = holder
    if (breaker.status === 'closed') {
      if (holder === all && before.status === 'open')
        log.warn({ reason: 'pinterest_down' }, 'all queues continue')
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
    /** `saysNothing` about the queue: its token was replaced during the call, or the failure is probably about the events. */
    ended(
      { queue, isTrial, isTrialForAll }: CallInFlight,
      outcome: CallOutcome,
      result: CallResult,
      saysNothing: boolean,
    ): void {
      move(all, resultForAll(outcome, result, isTrialForAll), isTrialForAll)
      if (!saysNothing) move(queue, result, isTrial)
    },
    /** Applies the breaker state that another replica got from its own call. */
    learn(holder: Holder, learned: SharedBreaker): void {
      become(holder, learn(holder.breaker, learned, clock.monotonicMs()))
    },
    /** Of one breaker, and of what rests after failures. */
    allowTrial(queue: Queue): void {
      queue.endRests(Infinity)
      for (const holder of [all, queue]) holder.breaker = allowTrial(holder.breaker, clock.monotonicMs())
    },
  }
}

/**
 * The circuit breaker of a queue: a state and its transitions, pure.
 *
 *              3 failures in a row            untilMs passes
 *   closed ──────── 429, hold ──────> open ──────────────────> half-open: one trial call may leave
 *     ▲                                ▲ └── the trial fails: open again, for longer
 *     └──────── the trial succeeds ────┘
 *
 * Half-open is derived: open, and `untilMs` has passed. Only the result of a call, here or in another replica (`learn`), and
 * `allowTrial` (an operator changed the token or the pause) change a breaker. While it is open only the trial's result
 * counts: calls that were in flight when it opened say nothing new. Only the canary holds a queue, and the trial of a
 * held queue is a canary (canary.ts).
 */
const OPEN_REASONS = [...HOLD_REASONS, 'failing', 'rate_limited'] as const
export type OpenReason = (typeof OPEN_REASONS)[number]

export type Breaker =
  | { readonly status: 'closed'; readonly failures: number }
  | {
      readonly status: 'open'
      readonly reason: OpenReason
      /** Monotonic; from then on one trial call may leave. */
      readonly untilMs: number
      /** Failures that opened it, and failed trials: the pauses grow with it. */
      readonly failures: number
    }

/** What was decided of a call, as far as a breaker is concerned. `ask` says nothing before the canary's answer. */
export type CallResult =
  | { readonly action: 'acknowledge' | 'bisect' | 'ask' }
  | { readonly action: 'retry' | 'pause'; readonly delayMs?: number | undefined }
  | { readonly action: 'hold'; readonly reason: HoldReason }

export const CLOSED: Breaker = { status: 'closed', failures: 0 }

/** Whether a call with events may leave: only canaries do from a held queue. */
export function isPassable(breaker: Breaker, nowMs: number): boolean {
  return breaker.status === 'closed' || (breaker.untilMs <= nowMs && !isHold(breaker.reason))
}

/** After so many failures in a row the next call will probably fail, too. */
const FAILURES_TO_OPEN = 3
/** A held queue tries again by itself: the token may work again without a change here. */
const PROBE_MS = 3 * 60_000

/** `wasTrial`: the call left while the breaker was open. `random` in [0, 1). */
export function afterCall(
  breaker: Breaker,
  result: CallResult,
  wasTrial: boolean,
  nowMs: number,
  random: number,
): Breaker {
  if (breaker.status === 'open' && !wasTrial) return breaker
  const failures = breaker.failures + 1
  const opened = { status: 'open', failures } as const
  switch (result.action) {
    case 'acknowledge':
    case 'bisect':
      return CLOSED
    case 'ask':
      return breaker
    case 'retry':
      if (breaker.status === 'closed' && failures < FAILURES_TO_OPEN) return { status: 'closed', failures }
      return { ...opened, reason: 'failing', untilMs: nowMs + failedMs(result.delayMs, failures, random) }
    case 'pause':
      return {
        ...opened,
        reason: 'rate_limited',
        untilMs: nowMs + limitedMs(result.delayMs, failures, random),
      }
    case 'hold':
      // With jitter, so that a thousand queues that one failure opened do not probe together.
      return { ...opened, reason: result.reason, untilMs: nowMs + PROBE_MS * (0.75 + random / 2) }
  }
}

/** Pinterest's code for "the service is not available", https://developers.pinterest.com/docs/api/v5/ */
const SERVICE_UNAVAILABLE_CODE = 4197

/**
 * What a call says about Pinterest as a whole. Only code 4197 counts as a failure, since one account's timeouts say nothing
 * about the others; for a trial, every failure counts.
 */
function resultForAll(outcome: CallOutcome, result: CallResult, wasTrial: boolean): CallResult {
  if (result.action !== 'retry') return { action: 'acknowledge' }
  const isDown = outcome.kind === 'answered' && outcome.code === SERVICE_UNAVAILABLE_CODE
  return isDown || wasTrial ? result : { action: 'ask' }
}

/** After an operator's change a trial may leave now, also where a failure asked to wait; not after a 429. */
export function allowTrial(breaker: Breaker, nowMs: number): Breaker {
  return breaker.status === 'closed' || breaker.reason === 'rate_limited'
    ? breaker
    : { ...breaker, untilMs: nowMs }
}

/** Another replica's call counts as much as one of this replica. */
export function learn(breaker: Breaker, learned: SharedBreaker, nowMs: number): Breaker {
  const { status, reason, forMs = 0 } = learned
  if (status === 'closed') return breaker.status === 'closed' ? breaker : CLOSED
  const untilMs = nowMs + Math.max(0, forMs)
  if (breaker.status === 'open' && breaker.untilMs >= untilMs) return breaker
  // An unknown word comes from a newer version.
  if (!isOpenReason(reason)) return breaker
  return { status, reason, untilMs, failures: Math.max(1, breaker.failures) }
}

export function learnedOf(breaker: Breaker, nowMs: number): SharedBreaker {
  if (breaker.status === 'closed') return { status: 'closed', reason: '', forMs: 0 }
  const { status, reason, untilMs } = breaker
  return { status, reason, forMs: Math.max(0, Math.round(untilMs - nowMs)) }
}

function isOpenReason(word: string): word is OpenReason {
  return (OPEN_REASONS as readonly string[]).includes(word)
}

export function isHeld(breaker: Breaker): boolean {
  return breaker.status === 'open' && isHold(breaker.reason)
}

export function isHold(reason: OpenReason): reason is HoldReason {
  return reason !== 'failing' && reason !== 'rate_limited'
}
