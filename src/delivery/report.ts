/** What a call and a gate leave in the log and in the metrics. */
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { CallOutcome } from '../pinterest/outcome.ts'
import { isHold, type Gate } from './gate.ts'
import type { Lane } from './lane.ts'
import type { Verdict } from './verdict.ts'

export interface CallReport {
  readonly outcome: CallOutcome
  readonly verdict: Verdict
  readonly events: number
  readonly durationMs: number
}

export function reportCall(log: Log, metrics: Metrics, { key }: Lane, report: CallReport): void {
  const { outcome, verdict, events, durationMs } = report
  const isAnswered = outcome.kind === 'answered'
  metrics.call(isAnswered ? String(outcome.status) : outcome.reason, durationMs / 1000, events)
  const fields = {
    ad_account_id: key.adAccountId,
    is_test: key.isTest,
    status: isAnswered ? outcome.status : undefined,
    reason: isAnswered ? verdict.action : outcome.reason,
    events,
    duration_ms: Math.round(durationMs),
  }
  if (verdict.action === 'settle') log.debug(fields, 'call answered')
  else log.warn(fields, 'call not taken')
}

/** Only the moment in which it closes is worth a line. */
export function reportGate(log: Log, { key, gate }: Lane, before: Gate, nowMs: number): void {
  if (before.status === 'closed' || gate.status === 'open') return
  const { reason, untilMs } = gate
  const fields = {
    ad_account_id: key.adAccountId,
    is_test: key.isTest,
    reason,
    delay_ms: Math.round(untilMs - nowMs),
  }
  if (isHold(reason)) log.error(fields, 'lane held until its cause is mended')
  else log.warn(fields, 'lane waits')
}
