/** What becomes of a call's group, once there is a decision on it. */
import type { Clock } from '../clock.ts'
import { splitEvents } from '../store/payload.ts'
import type { Queue } from './queue.ts'
import { halve, noteFailure, outcomeOf, type EventOutcome, type Slice } from './batch.ts'
import { backoffMs } from './retry.ts'
import { createScrub } from './scrub.ts'
import {
  afterRefusal,
  afterSuccess,
  groupOf,
  isBisect,
  isSingleEvent,
  type Group,
  type Halve,
} from './bisect.ts'
import type { Acknowledge } from './acknowledgements.ts'
import type { Prefetch } from './prefetch.ts'
import type { Decision } from './decision.ts'

export interface ActOnDecisionOptions {
  readonly prefetch: Prefetch
  readonly acknowledge: Acknowledge
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
}

export interface ActOnDecision {
  /** `token`: the one that the call was made with, so that no text can quote it. */
  (queue: Queue, group: Group, decision: Decision, token: string): void
}

/** Calls that fail as often with the same events are no longer taken for Pinterest's fault alone. */
const ATTEMPTS_TOGETHER = 3

export function createActOnDecision({
  prefetch,
  acknowledge,
  clock,
  random,
}: ActOnDecisionOptions): ActOnDecision {
  return function actOnDecision(queue, group, decision, token) {
    const cut: Halve = (slices) => {
      const halves = halve(slices)
      prefetch.replace(queue, slices, halves.flat())
      return halves
    }
    switch (decision.action) {
      case 'acknowledge': {
        acknowledgeAll(queue, group.slices, decision, token)
        const next = afterSuccess(group, cut)
        if (next) queue.addGroup(next)
        return
      }
      case 'bisect': {
        const { culprit, next } = afterRefusal(group, cut)
        if (culprit) reject(queue, culprit, decision, token)
        if (next) queue.addGroup(next)
        return
      }
      case 'retry':
        for (const slice of group.slices)
          noteFailure(slice, { atMs: clock.wallMs(), reason: decision.reason })
        rest(queue, group, cut)
        return
      case 'pause':
      case 'hold':
        if (isBisect(group)) queue.addGroup(group)
        else for (const slice of group.slices) queue.add(slice)
    }
  }

  function acknowledgeAll(
    queue: Queue,
    slices: readonly Slice[],
    { results }: Extract<Decision, { action: 'acknowledge' }>,
    token: string,
  ): void {
    let next = 0
    const decided = slices.map((slice) => {
      const own = results.slice(next, (next += slice.positions.length))
      // An event's JSON is needed only to scrub a text of its values: most results have none.
      const isSilent = own.every(({ errorMessage, warningMessage }) => !errorMessage && !warningMessage)
      const events = isSilent ? [] : splitEvents(slice.payload)
      const outcomes = own.map((result, place) => outcomeOf(result, createScrub(token, events[place])))
      prefetch.drop(queue, slice)
      return { slice, outcomes }
    })
    acknowledge(decided, 'rejected_event')
  }

  function reject(
    queue: Queue,
    culprit: Slice,
    { message, reason }: Extract<Decision, { action: 'bisect' }>,
    token: string,
  ): void {
    const errorMessage = createScrub(token, splitEvents(culprit.payload)[0])(message)
    prefetch.drop(queue, culprit)
    const outcome: EventOutcome = { status: 'rejected', errorMessage, warningMessage: '' }
    acknowledge([{ slice: culprit, outcomes: [outcome] }], reason)
  }

  /**
   * One moment for all: what failed in one call comes back in one call, not in as many as it had batches. But what has
   * failed together often may have one culprit among it, so it comes back in halves, until that stands alone; and holds
   * up no bisect any longer.
   */
  function rest(queue: Queue, group: Group, cut: Halve): void {
    const { slices, suspects, cleared } = group
    const attempts = Math.max(...slices.map((slice) => slice.attempts))
    const untilMs = () => clock.monotonicMs() + backoffMs(attempts, random())
    if (attempts < ATTEMPTS_TOGETHER) {
      queue.rest(group, untilMs(), isBisect(group))
      return
    }
    for (const slice of [...suspects, ...cleared]) queue.add(slice)
    const parts = isSingleEvent(slices) ? [slices] : cut(slices)
    for (const part of parts) queue.rest(groupOf(part), untilMs(), true)
  }
}
