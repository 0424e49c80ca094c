/** Ends a call: logs and counts its outcome, updates the breakers, and acts on the decision about its events. */
import { codeOf, placeOf } from '../errors.ts'
import type { CallOutcome } from '../pinterest/pinterest.ts'
import { splitEvents } from '../store/payload.ts'
import type { Acknowledgements, Decided } from './acknowledgements.ts'
import {
  countEvents,
  cut,
  failedOften,
  outcomeOf,
  withEntry,
  type EventOutcome,
  type Slice,
} from './batch.ts'
import {
  afterRefusal,
  afterSuccess,
  again,
  groupOf,
  membersOf,
  trusted,
  type Cut,
  type Group,
} from './bisect.ts'
import type { Breakers } from './breakers.ts'
import {
  afterCanary,
  afterRefusedCall,
  decideCanary,
  isAboutEvents,
  judgeLimit,
  noteCanary,
  type CanaryDecision,
} from './canary.ts'
import { decide, type CallDecision, type Refusal } from './decision.ts'
import type { DeliveryOptions } from './options.ts'
import type { Prefetch } from './prefetch.ts'
import type { CallInFlight, Queue, RefusedCall } from './queue.ts'
import { backoffMs } from './retry.ts'
import { createScrub } from '../pinterest/scrub.ts'
import { noteTokenOutcome } from './verify.ts'

export interface ConcludeOptions extends DeliveryOptions, Pick<Acknowledgements, 'acknowledge'> {
  readonly breakers: Breakers
  readonly prefetch: Prefetch
}

/** The culprit among 1,000 costs as many calls as in halves, and half as many pauses. */
const PARTS = 4

/** For example, a firewall's page of HTML. */
const NO_REASON = 'Pinterest rejected the event, without a reason that the relay can read.'

/** Never throws. */
export function conclude(
  options: ConcludeOptions,
  call: CallInFlight,
  outcome: CallOutcome,
  durationMs: number,
): void {
  const { clock, metrics, tokenWatch, breakers } = options
  const { queue, group, eventCount, token, asking } = call
  const { adAccountId } = queue.key
  if (asking === undefined) {
    const answer = decide(outcome, eventCount, clock.wallMs())
    const decision = judgeLimit(queue, group, answer, clock.monotonicMs())
    report(options, call, outcome, decision, durationMs)
    metrics.callEvents.observe(eventCount)
    if (decision.action === 'acknowledge') tokenWatch.accepted(adAccountId)
    breakers.ended(call, outcome, decision, isAboutEvents(decision, call))
    attempt(options, call, () => actOnDecision(options, call, decision))
    return
  }
  const decision = decideCanary(outcome, clock.wallMs())
  report(options, call, outcome, decision, durationMs)
  metrics.canaries.inc({ decision: decision.action })
  noteCanary(queue, decision, clock.monotonicMs())
  noteTokenOutcome(tokenWatch, { adAccountId, token }, outcome)
  breakers.ended(call, outcome, decision, decision.action === 'hold' && isOutdated(options, call))
  for (const refused of asking) {
    attempt(options, refused.call, () => actOnCanary(options, refused, decision, token))
  }
}

/** Its token was replaced meanwhile. */
function isOutdated({ vault }: ConcludeOptions, { queue, token }: CallInFlight): boolean {
  return vault.tokenOf(queue.key.adAccountId) !== token
}

/** What people see of it. */
function report(
  { log, metrics, clock }: ConcludeOptions,
  { queue, eventCount, asking, reference }: CallInFlight,
  outcome: CallOutcome,
  decision: CallDecision | CanaryDecision,
  durationMs: number,
): void {
  const { action } = decision
  const isAnswered = outcome.kind === 'answered'
  metrics.calls.inc({ outcome: isAnswered ? String(outcome.status) : outcome.reason })
  metrics.callSeconds.observe(durationMs / 1000)
  const lastAtMs = clock.wallMs()
  const { count, sinceMs } = queue.failedCalls ?? { count: 0, sinceMs: lastAtMs }
  const status = isAnswered ? `status_${outcome.status}` : outcome.reason
  // As the events' histories have it.
  const failure = decision.action === 'retry' ? decision.reason : status
  queue.failedCalls =
    action === 'acknowledge' ? undefined : { count: count + 1, sinceMs, lastAtMs, reason: failure }
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
function attempt(options: ConcludeOptions, { queue, group }: CallInFlight, act: () => void): void {
  try {
    act()
  } catch (error) {
    const { adAccountId, isTest } = queue.key
    const fields = { ad_account_id: adAccountId, is_test: isTest, code: codeOf(error), at: placeOf(error) }
    options.log.error(fields, 'a call could not be concluded')
    const slices = membersOf(group).filter(isPending)
    if (slices.length === 0) return
    const attempts = fail(options, slices, 'relay_failed')
    queue.rest(groupOf(slices), retryAtMs(options, attempts))
  }
}

/** What is acknowledged has no bytes any more. */
function isPending({ batch, positions }: Slice): boolean {
  return positions.some((position) => batch.outcomes[position]!.status === 'queued')
}

function actOnDecision(options: ConcludeOptions, call: CallInFlight, decision: CallDecision): void {
  const { queue, group } = call
  switch (decision.action) {
    case 'acknowledge': {
      options.acknowledge(queue, outcomesOf(call, decision), 'rejected_event', call.reference)
      const next = afterSuccess(group, cutIn(options, queue))
      if (next) queue.addGroup(next)
      return
    }
    case 'ask':
      // Sent as new ones where the token was replaced.
      if (isOutdated(options, call)) return queue.addMembers(group)
      return actOnRefusal(options, call, decision)
    case 'bisect':
      return actOnRefusal(options, call, decision)
    case 'retry':
      return retry(options, call, decision.reason)
    case 'pause':
      queue.addGroup(group)
  }
}

function actOnRefusal(options: ConcludeOptions, call: CallInFlight, refusal: Refusal): void {
  switch (afterRefusedCall(refusal, call.group)) {
    case 'ask':
      return call.queue.ask({ call, refusal })
    case 'again':
      return callAgain(options, call.queue, call.group)
    case 'bisect':
      return bisect(options, call, refusal)
  }
}

/** `token`: the canary's. */
function actOnCanary(
  options: ConcludeOptions,
  { call, refusal }: RefusedCall,
  decision: CanaryDecision,
  token: string,
): void {
  const { queue, group } = call
  switch (decision.action) {
    case 'acknowledge':
      if (call.token !== token) return queue.addMembers(group)
      if (afterCanary(refusal, group) === 'again') return callAgain(options, queue, trusted(group))
      return bisect(options, { ...call, group: trusted(group) }, refusal)
    case 'hold':
      return queue.addMembers(group)
    case 'pause':
    case 'retry':
      return actOnDecision(options, call, decision)
  }
}

/** After a pause: a temporary refusal takes a while to end. */
function callAgain(options: ConcludeOptions, queue: Queue, group: Group): void {
  queue.rest(again(group), retryAtMs(options, 2))
}

function bisect(options: ConcludeOptions, call: CallInFlight, { message, reason }: Refusal): void {
  const { queue, token, reference } = call
  const { culprit, next } = afterRefusal(call.group, cutIn(options, queue))
  if (culprit) {
    const errorMessage = createScrub(token, splitEvents(culprit.payload)[0])(message) || NO_REASON
    const outcome: EventOutcome = { status: 'rejected', errorMessage, warningMessage: '' }
    options.acknowledge(queue, [{ slice: culprit, outcomes: [outcome] }], reason, reference)
  }
  if (next) queue.addGroup(next)
}

/** Cuts, and updates the prefetch's accounting. */
function cutIn({ prefetch }: ConcludeOptions, queue: Queue): Cut {
  return (slices, firstCount) => {
    const parts = cut(slices, firstCount)
    prefetch.replace(queue, slices, parts.flat())
    return parts
  }
}

function outcomesOf(
  { group, token }: CallInFlight,
  { results }: Extract<CallDecision, { action: 'acknowledge' }>,
): readonly Decided[] {
  let next = 0
  return group.slices.map((slice) => {
    const own = results.slice(next, (next += slice.positions.length))
    // An event's JSON is needed only to scrub a text of its values: most results have none.
    const isSilent = own.every(({ errorMessage, warningMessage }) => !errorMessage && !warningMessage)
    const events = isSilent ? [] : splitEvents(slice.payload)
    return {
      slice,
      outcomes: own.map((result, place) => outcomeOf(result, createScrub(token, events[place]))),
    }
  })
}

/**
 * Slices that failed in one call are retried in one call. After several failures one of the events may be the cause: they
 * are retried in parts, and a bisect no longer waits for them.
 */
function retry(options: ConcludeOptions, { queue, group }: CallInFlight, reason: string): void {
  const { slices } = group
  const attempts = fail(options, slices, reason)
  if (!slices.some(failedOften)) return queue.rest(group, retryAtMs(options, attempts))
  const cutFirst = cutIn(options, queue)
  const parts: Group[] = []
  for (let part, rest = slices; rest.length > 0; parts.push(groupOf(part))) {
    ;[part, rest] = cutFirst(rest, Math.ceil(countEvents(slices) / PARTS))
  }
  for (const part of parts) queue.rest(part, retryAtMs(options, attempts))
  queue.addMembers({ ...group, slices: [] })
}

/** Answers how often the slice that failed most often did. */
function fail({ clock }: ConcludeOptions, slices: readonly Slice[], reason: string): number {
  const entry = { atMs: clock.wallMs(), reason }
  for (const slice of slices) {
    slice.attempts += 1
    slice.history = withEntry(slice.history, entry)
  }
  return Math.max(...slices.map(({ attempts }) => attempts))
}

function retryAtMs({ clock, random }: ConcludeOptions, failures: number): number {
  return clock.monotonicMs() + backoffMs(failures, random())
}
