/** Ends a call: logs and counts its outcome, updates the breakers, and acts on the decision about its events. */
import { codeOf, placeOf } from '../telemetry/log.ts'
import type { CallOutcome } from '../pinterest/outcome.ts'
import { actOnCanary, actOnDecision, startOver, type ActOptions } from './act-on-decision.ts'
import { noteFailure } from './batch.ts'
import { groupOf, membersOf } from './bisect.ts'
import type { Breakers } from './breakers.ts'
import { decideCanary, isAboutEvent, judgeLimit, noteCanary, type CanaryDecision } from './canary.ts'
import { decide, type CallDecision } from './decision.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight, RefusedCall } from './queue.ts'
import { backoffMs } from './retry.ts'
import { tellTokenWatch } from './token-watch.ts'

export interface ConcludeOptions extends DeliveryOptions, ActOptions {
  readonly breakers: Breakers
}

/** Never throws. */
export function conclude(
  options: ConcludeOptions,
  call: CallInFlight,
  outcome: CallOutcome,
  durationMs: number,
): void {
  if (call.asking) concludeCanary(options, call, call.asking, outcome, durationMs)
  else concludeEvents(options, call, outcome, durationMs)
}

function concludeEvents(
  options: ConcludeOptions,
  call: CallInFlight,
  outcome: CallOutcome,
  durationMs: number,
): void {
  const { eventCount, queue, group } = call
  const { clock } = options
  const answer = decide(outcome, eventCount, clock.wallMs())
  const decision = judgeLimit(queue, group, answer, clock.monotonicMs())
  report(options, call, outcome, decision, durationMs)
  options.metrics.callEvents.observe(eventCount)
  if (decision.action === 'acknowledge') options.tokenWatch.accepted(queue.key.adAccountId)
  options.breakers.ended(call, outcome, decision, isAboutEvent(decision, group))
  attempt(options, call, () => {
    if (decision.action === 'ask' && isOutdated(options, call)) startOver(call)
    else actOnDecision(options, call, decision)
  })
}

function concludeCanary(
  options: ConcludeOptions,
  canary: CallInFlight,
  asking: readonly RefusedCall[],
  outcome: CallOutcome,
  durationMs: number,
): void {
  const { token, queue } = canary
  const decision = decideCanary(outcome, options.clock.wallMs())
  report(options, canary, outcome, decision, durationMs)
  options.metrics.canaries.inc({ decision: decision.action })
  noteCanary(queue, decision, options.clock.monotonicMs())
  tellTokenWatch(options.tokenWatch, { adAccountId: queue.key.adAccountId, token }, outcome)
  options.breakers.ended(canary, outcome, decision, decision.action === 'hold' && isOutdated(options, canary))
  for (const refused of asking) {
    attempt(options, refused.call, () => actOnCanary(options, refused, decision, token))
  }
}

/** Its token was replaced meanwhile. */
function isOutdated({ vault }: ConcludeOptions, { queue, token }: CallInFlight): boolean {
  return vault.tokenOf(queue.key.adAccountId) !== token
}

function report(
  { log, metrics }: ConcludeOptions,
  { queue, eventCount, asking, reference }: CallInFlight,
  outcome: CallOutcome,
  { action }: CallDecision | CanaryDecision,
  durationMs: number,
): void {
  const isAnswered = outcome.kind === 'answered'
  metrics.calls.inc({ outcome: isAnswered ? String(outcome.status) : outcome.reason })
  metrics.callSeconds.observe(durationMs / 1000)
  const fields = {
    ad_account_id: queue.key.adAccountId,
    is_test: queue.key.isTest,
    status: isAnswered ? outcome.status : undefined,
    reason: isAnswered ? action : outcome.reason,
    call_id: reference.id,
    events: eventCount,
    duration_ms: Math.round(durationMs),
  }
  if (asking) log.warn(fields, action === 'acknowledge' ? 'canary taken' : 'canary not taken')
  else if (action === 'acknowledge') log.debug(fields, 'call answered')
  else log.warn(fields, 'call not taken')
}

/** `act` should never throw. If it does, the events are retried after a pause: a duplicate is better than a lost event. */
function attempt(
  { log, clock, random }: ConcludeOptions,
  { queue, group }: CallInFlight,
  act: () => void,
): void {
  try {
    act()
  } catch (error) {
    const { adAccountId, isTest } = queue.key
    const fields = { ad_account_id: adAccountId, is_test: isTest, code: codeOf(error), at: placeOf(error) }
    log.error(fields, 'a call could not be concluded')
    const slices = membersOf(group).filter(({ batch }) => batch.pendingCount > 0)
    if (slices.length === 0) return
    for (const slice of slices) noteFailure(slice, { atMs: clock.wallMs(), reason: 'relay_failed' })
    const attempts = Math.max(...slices.map((slice) => slice.attempts))
    queue.rest(groupOf(slices), clock.monotonicMs() + backoffMs(attempts, random()), false)
  }
}
