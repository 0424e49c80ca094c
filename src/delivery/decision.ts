/**
 * What Pinterest's answer to one call means for the events in it. Pure: the caller acts.
 *
 * | outcome | decision |
 * |---|---|
 * | 2xx or 422 with one result per event | acknowledge: delivered or rejected, event by event |
 * | 2xx without, which counts all events as processed | acknowledge: all delivered |
 * | 400, 413, or 422 without usable results | bisect: one event of the call is refused |
 * | 401, 403, 3xx, 404, 405 and every other status | ask: the canary shows whether the account is refused, or an event |
 * | 429 | pause: not an attempt; the canary is sent when it comes again and again |
 * | 408, 5xx, no answer, unreadable 2xx | retry; a Retry-After counts once the breaker opens |
 */
import { readRetryAfter } from './retry.ts'
import type { CallOutcome, EventResult } from '../pinterest/pinterest.ts'

/** Why the canary was refused: its token, the address, or without a reason. */
export const HOLD_REASONS = ['unauthorized', 'forbidden', 'wrong_address', 'rejects_everything'] as const
export type HoldReason = (typeof HOLD_REASONS)[number]

/** A call was refused as a whole. `reason`: for a dead letter. */
export interface Refusal {
  readonly action: 'bisect' | 'ask'
  readonly reason: string
  readonly message: string
}

export type CallDecision =
  | { readonly action: 'acknowledge'; readonly results: readonly EventResult[] }
  | Refusal
  | { readonly action: 'pause'; readonly delayMs: number | undefined }
  | { readonly action: 'retry'; readonly reason: string; readonly delayMs?: number | undefined }

const PROCESSED: EventResult = { status: 'processed', errorMessage: '', warningMessage: '' }

/** `nowMs` since the epoch: a Retry-After may be a date. */
export function decide(outcome: CallOutcome, eventCount: number, nowMs: number): CallDecision {
  if (outcome.kind === 'unanswered') return { action: 'retry', reason: outcome.reason }
  const { status, results, message } = outcome
  const isUsable = results !== undefined && results.length === eventCount
  if ((isSuccess(status) || status === 422) && isUsable) return { action: 'acknowledge', results }
  // A retry would record again what was taken: after an hour Pinterest no longer finds the duplicates.
  if (isSuccess(status) && outcome.processedCount === eventCount)
    return { action: 'acknowledge', results: Array.from({ length: eventCount }, () => PROCESSED) }
  if (isSuccess(status)) return { action: 'retry', reason: 'unreadable_answer' }
  const delayMs = readRetryAfter(outcome.retryAfter, nowMs)
  if (status === 429) return { action: 'pause', delayMs }
  if (status === 408 || status >= 500) return { action: 'retry', reason: `status_${status}`, delayMs }
  const isOpaque = status === 400 || status === 413 || status === 422
  return { action: isOpaque ? 'bisect' : 'ask', reason: `refused_${status}`, message }
}

export function isRefusal(decision: CallDecision): decision is Refusal {
  return decision.action === 'bisect' || decision.action === 'ask'
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
