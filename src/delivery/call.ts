/**
 * One call. Once the scheduler lets it leave, an event's way goes downwards here: taken from its queue, sent with up to 999
 * others, and given back with the answer's decision, which moves the breakers and is acted on.
 */
import { codeOf, placeOf } from '../telemetry/log.ts'
import type { CallOutcome } from '../pinterest/outcome.ts'
import { EVENT_SEPARATOR } from '../store/payload.ts'
import { actOnDecision, type ActOptions } from './act-on-decision.ts'
import type { Background } from './background.ts'
import { countEvents, expireEvents, noteFailure, type EventOutcome, type Slice } from './batch.ts'
import { groupOf, membersOf, type Group } from './bisect.ts'
import type { Breakers } from './breakers.ts'
import { decide, type Decision } from './decision.ts'
import type { DeliveryOptions } from './options.ts'
import type { CallInFlight, Queue } from './queue.ts'
import { backoffMs } from './retry.ts'

export interface CallerOptions extends DeliveryOptions, ActOptions {
  readonly breakers: Breakers
  readonly background: Background
  /** A call ended. */
  readonly onChange: (queue: Queue) => void
}

export interface Caller {
  /** Each with its end. */
  readonly inFlight: ReadonlyMap<CallInFlight, Promise<void>>
  /** Lets a call leave with what the queue has ready, less what is lost or too old. The caller has its call limiter token. */
  start(queue: Queue): void
}

export function createCaller(options: CallerOptions): Caller {
  const { pinterest, callLimiter, vault, clock, breakers, prefetch } = options
  const inFlight = new Map<CallInFlight, Promise<void>>()

  function start(queue: Queue): void {
    const { adAccountId } = queue.key
    const taken = queue.takeCall(clock.wallMs())
    const group = dropLost(queue, taken) ? groupOf([]) : dropExpired(queue, taken)
    if (group.slices.length === 0) {
      callLimiter.finished(adAccountId)
      for (const slice of membersOf(group)) queue.add(slice)
      return
    }
    const call: CallInFlight = {
      queue,
      group,
      token: vault.tokenOf(adAccountId) ?? '',
      eventCount: countEvents(group.slices),
      isTrial: queue.breaker.status === 'open',
      isTrialForAll: breakers.forAll.status === 'open',
    }
    const ended = make(call)
    queue.calls.add(call)
    inFlight.set(call, ended)
    options.background.add(ended)
  }

  /** Never rejects. */
  async function make(call: CallInFlight): Promise<void> {
    const { queue, group, token, eventCount } = call
    const { adAccountId, isTest } = queue.key
    const startedMs = clock.monotonicMs()
    const trace = options.tracing.beginCall({
      adAccountId,
      isTest,
      events: eventCount,
      posts: () => [...new Set(group.slices.map(({ batch }) => batch.trace))],
    })
    const outcome = await pinterest.sendEvents({ adAccountId, isTest, token, body: bodyOf(group.slices) })
    inFlight.delete(call)
    queue.calls.delete(call)
    callLimiter.finished(adAccountId)
    trace.end(
      outcome.kind === 'answered'
        ? { status: outcome.status, outcome: outcome.kind }
        : { status: undefined, outcome: outcome.reason },
    )

    const decision = decide(outcome, eventCount, clock.wallMs())
    report(options, call, outcome, decision, clock.monotonicMs() - startedMs)
    tellTokenWatch(options, call, outcome)
    const isOutdated = decision.action === 'hold' && vault.tokenOf(adAccountId) !== token
    breakers.ended(call, outcome, decision, isOutdated)
    try {
      actOnDecision(options, call, decision)
    } catch (error) {
      putBack(options, call, error)
    }
    prefetch.parkIfStopped(queue)
    options.onChange(queue)
  }

  /** Takes out what is not this process's any more, and came back to be tried again. The others wait for the next call. */
  function dropLost(queue: Queue, group: Group): boolean {
    const members = membersOf(group)
    const lost = members.filter(({ batch }) => batch.isLost)
    if (lost.length === 0) return false
    prefetch.replace(queue, lost, [])
    for (const slice of members) if (!slice.batch.isLost) queue.add(slice)
    return true
  }

  function dropExpired(queue: Queue, group: Group): Group {
    if (queue.key.isTest) return group
    const oldestS = (clock.wallMs() - options.maxEventAgeMs) / 1000
    const slices = group.slices.flatMap((slice) => {
      if (slice.oldestEventTimeS >= oldestS || !options.isClockTrusted()) return [slice]
      const { expired, kept } = expireEvents(slice, oldestS)
      prefetch.replace(queue, [slice], kept ? [kept] : [])
      if (expired) {
        const errorMessage = 'The event grew too old before Pinterest took it.'
        const outcome: EventOutcome = { status: 'expired', errorMessage, warningMessage: '' }
        options.acknowledge([{ slice: expired, outcomes: expired.positions.map(() => outcome) }], 'too_old')
      }
      return kept ? [kept] : []
    })
    return { ...group, slices }
  }

  return { inFlight, start }
}

function report(
  { log, metrics }: CallerOptions,
  { queue, eventCount }: CallInFlight,
  outcome: CallOutcome,
  decision: Decision,
  durationMs: number,
): void {
  const isAnswered = outcome.kind === 'answered'
  metrics.calls.inc({ outcome: isAnswered ? String(outcome.status) : outcome.reason })
  metrics.callSeconds.observe(durationMs / 1000)
  metrics.callEvents.observe(eventCount)
  const fields = {
    ad_account_id: queue.key.adAccountId,
    is_test: queue.key.isTest,
    status: isAnswered ? outcome.status : undefined,
    reason: isAnswered ? decision.action : outcome.reason,
    events: eventCount,
    duration_ms: Math.round(durationMs),
  }
  if (decision.action === 'acknowledge') log.debug(fields, 'call answered')
  else log.warn(fields, 'call not taken')
}

function tellTokenWatch(
  { tokenWatch }: CallerOptions,
  { queue, token }: CallInFlight,
  outcome: CallOutcome,
): void {
  if (outcome.kind === 'unanswered') return
  const { adAccountId } = queue.key
  const { status, code } = outcome
  if (status === 200 || status === 422) tokenWatch.accepted(adAccountId)
  if (status === 401 || status === 403) {
    // Not Pinterest's text: it may quote any of the call's events.
    const reason = code === undefined ? `status ${status}` : `status ${status}, code ${code}`
    tokenWatch.refused(adAccountId, { token, status, reason })
  }
}

/** Should never happen: rather a second delivery than a lost event, and rather a slow one than a loop. */
function putBack(
  { log, clock, random }: CallerOptions,
  { queue, group }: CallInFlight,
  error: unknown,
): void {
  const { adAccountId, isTest } = queue.key
  const fields = { ad_account_id: adAccountId, is_test: isTest, code: codeOf(error), at: placeOf(error) }
  log.error(fields, 'a call could not be concluded')
  const slices = membersOf(group).filter(({ batch }) => batch.pendingCount > 0)
  if (slices.length === 0) return
  for (const slice of slices) noteFailure(slice, { atMs: clock.wallMs(), reason: 'relay_failed' })
  const attempts = Math.max(...slices.map((slice) => slice.attempts))
  queue.rest(groupOf(slices), clock.monotonicMs() + backoffMs(attempts, random()), false)
}

const OPENING = Buffer.from('{"data":[')
const SEPARATOR = Buffer.from(EVENT_SEPARATOR)
const CLOSING = Buffer.from(']}')

/** The join of the slices' bytes: nothing is parsed or serialized again. */
function bodyOf(slices: readonly Slice[]): Uint8Array {
  const parts: Uint8Array[] = [OPENING]
  for (const { payload } of slices) {
    if (parts.length > 1) parts.push(SEPARATOR)
    parts.push(payload)
  }
  parts.push(CLOSING)
  return Buffer.concat(parts)
}
