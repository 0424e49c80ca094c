/**
 * What Pinterest's answer to one call means for the events in it. Pure: the driver acts.
 *
 * | outcome | decision |
 * |---|---|
 * | 2xx or 422 with one result per event | acknowledge: delivered or rejected, event by event |
 * | 400, 413, or 422 without usable results | split, until the culprit stands alone |
 * | 401, 403 | hold: the token |
 * | 429 | wait: not an attempt |
 * | 408, 5xx, no answer, unreadable 2xx | retry |
 * | 3xx, 404, 405 and whatever nobody foresaw | hold: the address; a wrong setting must not burn the queue |
 */
import { readRetryAfter } from './retry.ts'
import type { CallOutcome, EventResult } from '../pinterest/outcome.ts'

export type HoldReason = 'unauthorized' | 'forbidden' | 'wrong_address'

export type Decision =
  | { readonly action: 'acknowledge'; readonly results: readonly EventResult[] }
  | { readonly action: 'bisect'; readonly reason: string; readonly message: string }
  | { readonly action: 'hold'; readonly reason: HoldReason }
  | { readonly action: 'pause'; readonly delayMs: number | undefined }
  | { readonly action: 'retry'; readonly reason: string }

/** `nowMs` since the epoch: a Retry-After may be a date. */
export function decide(outcome: CallOutcome, eventCount: number, nowMs: number): Decision {
  if (outcome.kind === 'unanswered') return { action: 'retry', reason: outcome.reason }
  const { status, results, message } = outcome
  const isUsable = results !== undefined && results.length === eventCount
  if ((isSuccess(status) || status === 422) && isUsable) return { action: 'acknowledge', results }
  if (isSuccess(status)) return { action: 'retry', reason: 'unreadable_answer' }
  if (status === 400 || status === 413 || status === 422) {
    return { action: 'bisect', reason: `refused_${status}`, message }
  }
  if (status === 401) return { action: 'hold', reason: 'unauthorized' }
  if (status === 403) return { action: 'hold', reason: 'forbidden' }
  if (status === 429) return { action: 'pause', delayMs: readRetryAfter(outcome.retryAfter, nowMs) }
  if (status === 408 || status >= 500) return { action: 'retry', reason: `status_${status}` }
  return { action: 'hold', reason: 'wrong_address' }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
