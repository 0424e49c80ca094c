/**
 * Whether a queue's calls may leave: a state and its transitions, pure.
 *
 *            3 failures in a row              untilMs passes
 *   open ──────── 429, hold ──────> closed ──────────────────> (one trial call may leave)
 *    ▲                                ▲ └── the trial fails: closed again, for longer
 *    └────────── the trial succeeds ──┘
 *
 * Only the outcome of a call changes a breaker, but for `reopen` (an operator changed the token or the pause). While it is
 * closed, only the trial's outcome counts: calls that were in flight when it closed say nothing new.
 */
import { backoffMs, limitedMs } from './retry.ts'
import type { HoldReason } from './decision.ts'

export type CloseReason = HoldReason | 'failing' | 'rate_limited'

export type Breaker =
  | { readonly status: 'open'; readonly failures: number }
  | {
      readonly status: 'closed'
      readonly reason: CloseReason
      /** Monotonic; from then on one trial call may leave. */
      readonly untilMs: number
      /** Trials that failed, and what closed it: makes the pauses grow. */
      readonly failures: number
    }

/** A breaker as replicas tell each other; `forMs`: how long it stays closed. */
export type LearnedBreaker =
  | { readonly status: 'open' }
  | { readonly status: 'closed'; readonly reason: CloseReason; readonly forMs: number }

export type CallResult =
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'limited'; readonly delayMs: number | undefined }
  | { readonly kind: 'held'; readonly reason: HoldReason }

export const OPEN: Breaker = { status: 'open', failures: 0 }

/** One failure says little; as many in a row say that the next call will fail too. */
const FAILURES_TO_CLOSE = 3
/** A held queue asks again by itself: the token may have been mended on Pinterest's side. */
const PROBE_MS = 3 * 60_000

/** `wasTrial`: the call left through a closed breaker. `random` in [0, 1). */
export function afterCall(
  breaker: Breaker,
  result: CallResult,
  wasTrial: boolean,
  nowMs: number,
  random: number,
): Breaker {
  if (breaker.status === 'closed' && !wasTrial) return breaker
  const failures = breaker.failures + 1
  switch (result.kind) {
    case 'answered':
      return OPEN
    case 'failed':
      if (breaker.status === 'open' && failures < FAILURES_TO_CLOSE) return { status: 'open', failures }
      return { status: 'closed', reason: 'failing', untilMs: nowMs + backoffMs(failures, random), failures }
    case 'limited':
      return {
        status: 'closed',
        reason: 'rate_limited',
        untilMs: nowMs + limitedMs(result.delayMs, failures, random),
        failures,
      }
    case 'held': {
      // With jitter, so that a thousand queues held by one outage do not probe together.
      const untilMs = nowMs + PROBE_MS * (0.75 + random / 2)
      return { status: 'closed', reason: result.reason, untilMs, failures }
    }
  }
}

/** Something that an operator changed may have mended it: let a trial leave now. Not where Pinterest asked to wait. */
export function reopen(breaker: Breaker, nowMs: number): Breaker {
  return breaker.status === 'open' || breaker.reason === 'rate_limited'
    ? breaker
    : { ...breaker, untilMs: nowMs }
}

/** What another replica learned, by a call of its own: as good as a call of ours. */
export function learn(breaker: Breaker, learned: LearnedBreaker, nowMs: number): Breaker {
  if (learned.status === 'open') return breaker.status === 'open' ? breaker : OPEN
  const untilMs = nowMs + Math.max(0, learned.forMs)
  if (breaker.status === 'closed' && breaker.untilMs >= untilMs) return breaker
  return { status: 'closed', reason: learned.reason, untilMs, failures: Math.max(1, breaker.failures) }
}

export function learnedOf(breaker: Breaker, nowMs: number): LearnedBreaker {
  if (breaker.status === 'open') return { status: 'open' }
  return { status: 'closed', reason: breaker.reason, forMs: Math.max(0, Math.round(breaker.untilMs - nowMs)) }
}

const CLOSE_REASONS: ReadonlySet<string> = new Set<CloseReason>([
  'unauthorized',
  'forbidden',
  'wrong_address',
  'failing',
  'rate_limited',
])

export function isCloseReason(word: string): word is CloseReason {
  return CLOSE_REASONS.has(word)
}

export function isHold(reason: CloseReason): reason is HoldReason {
  return reason !== 'failing' && reason !== 'rate_limited'
}
