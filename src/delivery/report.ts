/** What a call and a breaker leave in the log and in the metrics. */
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { CallOutcome } from '../pinterest/outcome.ts'
import { isHold, type Breaker } from './breaker.ts'
import type { Queue } from './queue.ts'
import type { Decision } from './decision.ts'

export interface CallReport {
  readonly outcome: CallOutcome
  readonly decision: Decision
  readonly events: number
  readonly durationMs: number
}

export function reportCall(log: Log, metrics: Metrics, { key }: Queue, report: CallReport): void {
  const { outcome, decision, events, durationMs } = report
  const isAnswered = outcome.kind === 'answered'
  metrics.calls.inc({ outcome: isAnswered ? String(outcome.status) : outcome.reason })
  metrics.callSeconds.observe(durationMs / 1000)
  metrics.callEvents.observe(events)
  const fields = {
    ad_account_id: key.adAccountId,
    is_test: key.isTest,
    status: isAnswered ? outcome.status : undefined,
    reason: isAnswered ? decision.action : outcome.reason,
    events,
    duration_ms: Math.round(durationMs),
  }
  if (decision.action === 'acknowledge') log.debug(fields, 'call answered')
  else log.warn(fields, 'call not taken')
}

/** Only the moment in which it opens is worth a line. */
export function reportBreaker(log: Log, { key, breaker }: Queue, before: Breaker, nowMs: number): void {
  if (before.status === 'open' || breaker.status === 'closed') return
  const { reason, untilMs } = breaker
  const fields = {
    ad_account_id: key.adAccountId,
    is_test: key.isTest,
    reason,
    delay_ms: Math.round(untilMs - nowMs),
  }
  if (isHold(reason)) log.error(fields, 'queue held until its cause is mended')
  else log.warn(fields, 'queue waits')
}
