/**
 * The canary: one event of the relay's own, without customer data, sent with `?test=true` and the account's token. Its
 * answer shows whether a refusal is about the events of a call or about the account. Pure, but for the event's id; the
 * caller sends it.
 *
 *   a call is refused
 *     400, 413, 422 without results   several events: bisect. One: a dead letter if Pinterest took a call of this bisect
 *                                     (or the canary), and this is not the third culprit since; else ask the canary
 *     any other refusal               ask the canary, before the bisect and again before a dead letter. It may pass: so
 *                                     all events are called once more, within a second, before the bisect, and the one
 *                                     that is alone three times, within seconds, before it becomes a dead letter
 *
 *   a call is limited (429)
 *     the queue pauses, the third time until the canary's answer, too. It is taken: a further 429 within a minute is no
 *     limit of the account, but about the call's events, which are retried as after a 5xx: apart in the end, until they
 *     are too old. No 429 makes a dead letter: a limit that does not count test events would make one of each event
 *
 *   asking: the refused events wait in a group of their own; the next call of the queue is the canary
 *     taken              the refusal was about the events: as above
 *     refused            hold: every event is kept, nothing but canaries leaves
 *     no usable answer   decides nothing: the events are retried, or wait, as after that answer to a call of their own
 *
 *   held: a canary leaves every few minutes, and at once after a change of the token; one that is taken ends the hold
 */
import { randomUUID } from 'node:crypto'
import { sha256Hex } from '../events/hash.ts'
import type { CallOutcome, EventsCall } from '../pinterest/pinterest.ts'
import { failedOften } from './batch.ts'
import { isSingleEvent, type Group } from './bisect.ts'
import type { CallInFlight, Queue } from './queue.ts'
import { decide, isRefusal, type CallDecision, type HoldReason, type Refusal } from './decision.ts'

/** What the canary's answer means for its queue. */
export type CanaryDecision =
  | Exclude<CallDecision, Refusal>
  | { readonly action: 'hold'; readonly reason: HoldReason }

/** With three calls in ten refused at random, 4 good events in 1,000 become dead letters. */
const CALLS_AGAIN = 3

export function afterRefusedCall(
  { action }: Refusal,
  { slices, trust, callsAgain }: Group,
): 'ask' | 'again' | 'bisect' {
  const isSingle = isSingleEvent(slices)
  if (action === 'bisect') return isSingle && trust === 0 ? 'ask' : 'bisect'
  if (trust === 0) return 'ask'
  if (!isSingle) return 'bisect'
  return callsAgain < CALLS_AGAIN ? 'again' : 'ask'
}

/** The canary was taken. */
export function afterCanary({ action }: Refusal, { callsAgain }: Group): 'again' | 'bisect' {
  return action === 'ask' && callsAgain === 0 ? 'again' : 'bisect'
}

const LIMITED_CALLS = 3
const DOUBT_MS = 60_000
const LIMITED = 'status_429'

export function asksForLimit({ limitedCalls }: Pick<Queue, 'limitedCalls'>): boolean {
  return limitedCalls >= LIMITED_CALLS
}

/** Decides what a 429 is about. The slices' history keeps the doubt. */
export function judgeLimit(
  queue: Queue,
  { slices }: Group,
  decision: CallDecision,
  nowMs: number,
): CallDecision {
  if (decision.action !== 'pause') return decision
  const isDoubted = nowMs < queue.doubtsLimitUntilMs
  if (isDoubted || slices.some(({ history }) => history.at(-1)?.reason === LIMITED)) {
    return { action: 'retry', reason: LIMITED }
  }
  queue.limitedCalls += 1
  return decision
}

/** After so many failed calls in a row Pinterest is probably away. */
const CALLS_ABOUT_EVENTS = 20

/** Probably about the events: one that is alone, of a 429, or those that failed often. Neither opens the breaker nor closes it. */
export function isAboutEvents(
  decision: CallDecision,
  { queue, group: { slices }, isTrial }: CallInFlight,
): boolean {
  if (decision.action !== 'retry') return false
  if (decision.reason === LIMITED && isSingleEvent(slices)) return true
  const { count } = queue.failedCalls ?? { count: 0 }
  return !isTrial && count < CALLS_ABOUT_EVENTS && slices.every(failedOften)
}

/** The canary was answered. */
export function noteCanary(queue: Queue, { action }: CanaryDecision, nowMs: number): void {
  if (action === 'acknowledge' && asksForLimit(queue)) queue.doubtsLimitUntilMs = nowMs + DOUBT_MS
  queue.limitedCalls = 0
}

export function decideCanary(outcome: CallOutcome, nowMs: number): CanaryDecision {
  const decision = decide(outcome, 1, nowMs)
  if (!isRefusal(decision)) return decision
  return { action: 'hold', reason: holdReasonOf(outcome.kind === 'answered' ? outcome.status : 0) }
}

function holdReasonOf(status: number): HoldReason {
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 400:
    case 413:
    case 422:
      return 'rejects_everything'
    default:
      return 'wrong_address'
  }
}

export function canaryCall(adAccountId: string, token: string, wallMs: number): EventsCall {
  const event = {
    event_name: 'page_visit',
    action_source: 'web',
    event_time: Math.floor(wallMs / 1000),
    event_id: `pinrelay-canary-${randomUUID()}`,
    user_data: { em: [sha256Hex('canary@pinrelay.example')] },
  }
  return { adAccountId, isTest: true, token, body: Buffer.from(JSON.stringify({ data: [event] })) }
}
