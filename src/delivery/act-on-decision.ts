/** Acts on the decision about a call, or about the canary that its events wait for. */
import { splitEvents } from '../store/payload.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight, Queue, RefusedCall } from './queue.ts'
import { countEvents, cut, noteFailure, outcomeOf, type EventOutcome, type Slice } from './batch.ts'
import { backoffMs } from './retry.ts'
import { createScrub } from '../pinterest/scrub.ts'
import {
  afterRefusal,
  afterSuccess,
  again,
  groupOf,
  isBisect,
  isSingleEvent,
  membersOf,
  trusted,
  type Cut,
  type Group,
} from './bisect.ts'
import type { Acknowledge } from './acknowledgements.ts'
import { afterCanary, afterRefusedCall, type CanaryDecision } from './canary.ts'
import type { Prefetch } from './prefetch.ts'
import type { CallDecision, Refusal } from './decision.ts'

export interface ActOptions extends Pick<DeliveryOptions, 'clock' | 'random'> {
  readonly prefetch: Prefetch
  readonly acknowledge: Acknowledge
}

/** After so many failed calls with the same events, one of the events may be the cause. */
const ATTEMPTS_TOGETHER = 3

/** For example, a firewall's page of HTML. */
const NO_REASON = 'Pinterest rejected the event, without a reason that the relay can read.'

export function actOnDecision(options: ActOptions, call: CallInFlight, decision: CallDecision): void {
  const { queue, group } = call
  switch (decision.action) {
    case 'acknowledge': {
      acknowledgeAll(options, call, decision)
      const next = afterSuccess(group, cutIn(options, call))
      if (next) queue.addGroup(next)
      return
    }
    case 'bisect':
    case 'ask':
      actOnRefusal(options, call, decision)
      return
    case 'retry': {
      const failure = { atMs: options.clock.wallMs(), reason: decision.reason }
      for (const slice of group.slices) noteFailure(slice, failure)
      rest(options, call)
      return
    }
    case 'pause':
      if (isBisect(group)) queue.addGroup(group)
      else for (const slice of group.slices) queue.add(slice)
  }
}

function actOnRefusal(options: ActOptions, call: CallInFlight, refusal: Refusal): void {
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
export function actOnCanary(
  options: ActOptions,
  { call, refusal }: RefusedCall,
  decision: CanaryDecision,
  token: string,
): void {
  const { queue, group } = call
  const isOutdated = call.token !== token
  switch (decision.action) {
    case 'acknowledge':
      if (isOutdated) return startOver(call)
      if (afterCanary(refusal, group) === 'again') return callAgain(options, queue, trusted(group))
      return bisect(options, { ...call, group: trusted(group) }, refusal)
    case 'hold':
      return startOver(call)
    case 'pause':
    case 'retry':
      return actOnDecision(options, call, decision)
  }
}

/** After a pause: a refusal that passes does not pass at once. */
function callAgain({ clock, random }: ActOptions, queue: Queue, group: Group): void {
  queue.rest(again(group), clock.monotonicMs() + backoffMs(2, random()), true)
}

/** The events are sent as new ones: the queue is held first, or the token was replaced. */
export function startOver({ queue, group }: CallInFlight): void {
  for (const slice of membersOf(group)) queue.add(slice)
}

function bisect(options: ActOptions, call: CallInFlight, refusal: Refusal): void {
  const { culprit, next } = afterRefusal(call.group, cutIn(options, call))
  if (culprit) reject(options, call, culprit, refusal)
  if (next) call.queue.addGroup(next)
}

/** Cuts, and updates the prefetch's accounting. */
function cutIn({ prefetch }: ActOptions, { queue }: CallInFlight): Cut {
  return (slices, firstCount) => {
    const parts = cut(slices, firstCount)
    prefetch.replace(queue, slices, parts.flat())
    return parts
  }
}

function acknowledgeAll(
  { prefetch, acknowledge }: ActOptions,
  { queue, group, token, reference }: CallInFlight,
  { results }: Extract<CallDecision, { action: 'acknowledge' }>,
): void {
  let next = 0
  const decided = group.slices.map((slice) => {
    const own = results.slice(next, (next += slice.positions.length))
    // An event's JSON is needed only to scrub a text of its values: most results have none.
    const isSilent = own.every(({ errorMessage, warningMessage }) => !errorMessage && !warningMessage)
    const events = isSilent ? [] : splitEvents(slice.payload)
    const outcomes = own.map((result, place) => outcomeOf(result, createScrub(token, events[place])))
    prefetch.replace(queue, [slice], [])
    return { slice, outcomes }
  })
  acknowledge(decided, 'rejected_event', reference)
}

function reject(
  { prefetch, acknowledge }: ActOptions,
  { queue, token, reference }: CallInFlight,
  culprit: Slice,
  { message, reason }: Refusal,
): void {
  const errorMessage = createScrub(token, splitEvents(culprit.payload)[0])(message) || NO_REASON
  prefetch.replace(queue, [culprit], [])
  const outcome: EventOutcome = { status: 'rejected', errorMessage, warningMessage: '' }
  acknowledge([{ slice: culprit, outcomes: [outcome] }], reason, reference)
}

/**
 * Slices that failed in one call are retried in one call. After several failures one of the events may be the cause: they
 * are retried in halves, and a bisect no longer waits for them.
 */
function rest(options: ActOptions, call: CallInFlight): void {
  const { clock, random } = options
  const { queue, group } = call
  const { slices, suspects, cleared } = group
  const attempts = Math.max(...slices.map((slice) => slice.attempts))
  const untilMs = () => clock.monotonicMs() + backoffMs(attempts, random())
  if (attempts < ATTEMPTS_TOGETHER) {
    queue.rest(group, untilMs(), isBisect(group))
    return
  }
  for (const slice of [...suspects, ...cleared]) queue.add(slice)
  const parts = isSingleEvent(slices)
    ? [slices]
    : cutIn(options, call)(slices, Math.ceil(countEvents(slices) / 2))
  for (const part of parts) queue.rest(groupOf(part), untilMs(), true)
}
