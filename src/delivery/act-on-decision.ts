/** What becomes of a call's group, once there is a decision on it. */
import { splitEvents } from '../store/payload.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight } from './queue.ts'
import { countEvents, cut, noteFailure, outcomeOf, type EventOutcome, type Slice } from './batch.ts'
import { backoffMs } from './retry.ts'
import { createScrub } from './scrub.ts'
import { afterRefusal, afterSuccess, groupOf, isBisect, isSingleEvent, type Cut } from './bisect.ts'
import type { Acknowledge } from './acknowledgements.ts'
import type { Prefetch } from './prefetch.ts'
import type { Decision } from './decision.ts'

export interface ActOptions extends Pick<DeliveryOptions, 'clock' | 'random'> {
  readonly prefetch: Prefetch
  readonly acknowledge: Acknowledge
}

/** Calls that fail as often with the same events are no longer taken for Pinterest's fault alone. */
const ATTEMPTS_TOGETHER = 3

export function actOnDecision(options: ActOptions, call: CallInFlight, decision: Decision): void {
  const { queue, group } = call
  const cutHere: Cut = (slices, firstCount) => {
    const parts = cut(slices, firstCount)
    options.prefetch.replace(queue, slices, parts.flat())
    return parts
  }
  switch (decision.action) {
    case 'acknowledge': {
      acknowledgeAll(options, call, decision)
      const next = afterSuccess(group, cutHere)
      if (next) queue.addGroup(next)
      return
    }
    case 'bisect': {
      const { culprit, next } = afterRefusal(group, cutHere)
      if (culprit) reject(options, call, culprit, decision)
      if (next) queue.addGroup(next)
      return
    }
    case 'retry': {
      const failure = { atMs: options.clock.wallMs(), reason: decision.reason }
      for (const slice of group.slices) noteFailure(slice, failure)
      rest(options, call, cutHere)
      return
    }
    case 'pause':
    case 'hold':
      if (isBisect(group)) queue.addGroup(group)
      else for (const slice of group.slices) queue.add(slice)
  }
}

function acknowledgeAll(
  { prefetch, acknowledge }: ActOptions,
  { queue, group, token }: CallInFlight,
  { results }: Extract<Decision, { action: 'acknowledge' }>,
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
  acknowledge(decided, 'rejected_event')
}

function reject(
  { prefetch, acknowledge }: ActOptions,
  { queue, token }: CallInFlight,
  culprit: Slice,
  { message, reason }: Extract<Decision, { action: 'bisect' }>,
): void {
  const errorMessage = createScrub(token, splitEvents(culprit.payload)[0])(message)
  prefetch.replace(queue, [culprit], [])
  const outcome: EventOutcome = { status: 'rejected', errorMessage, warningMessage: '' }
  acknowledge([{ slice: culprit, outcomes: [outcome] }], reason)
}

/**
 * What failed in one call comes back in one call. But after several failures together there may be one culprit among the
 * slices, so they come back in halves until it stands alone, and no bisect waits for them any longer.
 */
function rest({ clock, random }: ActOptions, { queue, group }: CallInFlight, cut: Cut): void {
  const { slices, suspects, cleared } = group
  const attempts = Math.max(...slices.map((slice) => slice.attempts))
  const untilMs = () => clock.monotonicMs() + backoffMs(attempts, random())
  if (attempts < ATTEMPTS_TOGETHER) {
    queue.rest(group, untilMs(), isBisect(group))
    return
  }
  for (const slice of [...suspects, ...cleared]) queue.add(slice)
  const parts = isSingleEvent(slices) ? [slices] : cut(slices, Math.ceil(countEvents(slices) / 2))
  for (const part of parts) queue.rest(groupOf(part), untilMs(), true)
}
