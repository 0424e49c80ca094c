/**
 * The circuit breaker of a queue: a state and its transitions, pure.
 *
 *              3 failures in a row            untilMs passes
 *   closed ──────── 429, hold ──────> open ──────────────────> half-open: one trial call may leave
 *     ▲                                ▲ └── the trial fails: open again, for longer
 *     └──────── the trial succeeds ────┘
 *
 * Half-open is derived: open, and `untilMs` has passed. Only the result of a call changes a breaker, but for `allowTrial`
 * (an operator changed the token or the pause). While it is open only the trial's result counts: calls that were in
 * flight when it opened say nothing new. Only the canary holds a queue, and the trial of a held queue is a canary
 * (canary.ts).
 */
import type { CallOutcome } from '../pinterest/outcome.ts'
import type { SharedBreaker } from '../store/shared.ts'
import { backoffMs, limitedMs } from './retry.ts'
import { HOLD_REASONS, type HoldReason } from './decision.ts'

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
  | { readonly action: 'acknowledge' | 'bisect' | 'ask' | 'retry' }
  | { readonly action: 'pause'; readonly delayMs: number | undefined }
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
      return { ...opened, reason: 'failing', untilMs: nowMs + backoffMs(failures, random) }
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
export function resultForAll(outcome: CallOutcome, { action }: CallResult, wasTrial: boolean): CallResult {
  if (action !== 'retry') return { action: 'acknowledge' }
  const isDown = outcome.kind === 'answered' && outcome.code === SERVICE_UNAVAILABLE_CODE
  return { action: isDown || wasTrial ? 'retry' : 'ask' }
}

/** After an operator's change a trial may leave now; not while Pinterest asked to wait. */
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
  // A word that this version does not know is of a newer one.
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
