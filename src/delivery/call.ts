/**
 * One call: up to 1,000 events are taken from their queue and sent; conclude.ts acts on the answer. The canary (canary.ts) is
 * sent the same way, with an event of its own.
 */
import { randomBytes } from 'node:crypto'
import { TOO_OLD } from '../store/core/expire.ts'
import { createSlots } from '../slots.ts'
import { EVENT_SEPARATOR } from '../store/payload.ts'
import type { Background } from './background.ts'
import { countEvents, expireEvents, type EventOutcome, type Slice } from './batch.ts'
import { groupOf, type Group } from './bisect.ts'
import { canaryCall } from './canary.ts'
import { conclude, type ConcludeOptions } from './conclude.ts'
import type { CallInFlight, Queue } from './queue.ts'

export interface CallerOptions extends ConcludeOptions {
  readonly background: Background
  /** A call ended. */
  readonly onChange: (queue: Queue) => void
}

export type Caller = ReturnType<typeof createCaller>

export function createCaller(options: CallerOptions) {
  const { pinterest, callLimiter, vault, clock, breakers, prefetch } = options
  const inFlight = createSlots<CallInFlight>()
  const nextCallId = createCallIds()

  /** Sends what the queue has ready, or the canary. Its token is taken already. */
  function start(queue: Queue): void {
    const { adAccountId } = queue.key
    const isTrial = queue.breaker.status === 'open'
    const isTrialForAll = breakers.all.breaker.status === 'open'
    const asking = queue.needsCanary ? queue.takeAsking() : undefined
    const group = asking ? groupOf([]) : takeGroup(queue, isTrial || isTrialForAll)
    if (!asking && group.slices.length === 0) {
      callLimiter.finished(adAccountId)
      return queue.addMembers(group)
    }
    const call: CallInFlight = {
      reference: { id: nextCallId(), startedAtMs: clock.wallMs() },
      queue,
      group,
      token: vault.tokenOf(adAccountId) ?? '',
      eventCount: asking ? 1 : countEvents(group.slices),
      isTrial,
      isTrialForAll,
      asking,
    }
    call.ended = make(call)
    options.background.add(call.ended)
  }

  /** Never rejects. */
  async function make(call: CallInFlight): Promise<void> {
    const { queue, group, token, eventCount } = call
    const { adAccountId, isTest } = queue.key
    const slot = inFlight.add(call)
    const slotInQueue = queue.calls.add(call)
    const startedMs = clock.monotonicMs()
    const endTrace = options.tracing?.beginCall(
      queue.key,
      eventCount,
      new Set(group.slices.flatMap(({ batch }) => batch.trace ?? [])),
    )
    const outcome = await pinterest.sendEvents(
      call.asking
        ? canaryCall(adAccountId, token, clock.wallMs())
        : { adAccountId, isTest, token, body: bodyOf(group.slices) },
    )
    inFlight.take(slot)
    queue.calls.take(slotInQueue)
    callLimiter.finished(adAccountId)
    const isAnswered = outcome.kind === 'answered'
    endTrace?.(isAnswered ? outcome.status : undefined, isAnswered ? outcome.kind : outcome.reason)
    const durationMs = clock.monotonicMs() - startedMs
    conclude(options, call, outcome, durationMs)
    prefetch.parkIfStopped(queue)
    options.onChange(queue)
  }

  /** What leaves, without what was lost while a call was in flight, or is too old. */
  function takeGroup(queue: Queue, isTrial: boolean): Group {
    const group = queue.takeCall(clock.wallMs(), isTrial)
    const oldestS = (clock.wallMs() - options.maxEventAgeMs) / 1000
    const slices = group.slices.flatMap((slice) => {
      if (slice.batch.isLost) {
        prefetch.replace(queue, [slice], [])
        return []
      }
      const isYoung = queue.key.isTest || slice.oldestEventTimeS >= oldestS || !options.isClockTrusted()
      return isYoung ? [slice] : dropExpired(queue, slice, oldestS)
    })
    return { ...group, slices }
  }

  /** Answers what is left. */
  function dropExpired(queue: Queue, slice: Slice, oldestS: number): readonly Slice[] {
    const { expired, kept } = expireEvents(slice, oldestS)
    const parts = [expired, kept].filter((part) => part !== undefined)
    prefetch.replace(queue, [slice], parts)
    if (expired) {
      const { message: errorMessage, reason } = TOO_OLD
      const outcome: EventOutcome = { status: 'expired', errorMessage, warningMessage: '' }
      const outcomes = expired.positions.map(() => outcome)
      options.acknowledge(queue, [{ slice: expired, outcomes }], reason)
    }
    return kept ? [kept] : []
  }

  return { inFlight, start }
}

/** Unique across runs and replicas; short, since the log and the event trail have one for each call. */
function createCallIds(): () => string {
  const run = randomBytes(4).toString('hex')
  let last = 0
  return () => `${run}-${(++last).toString(36)}`
}

const OPENING = Buffer.from('{"data":[')
const SEPARATOR = Buffer.from(EVENT_SEPARATOR)
const CLOSING = Buffer.from(']}')

/** The join of the slices' bytes: nothing is parsed or serialized again. */
function bodyOf(slices: readonly Slice[]): Uint8Array {
  const parts = slices.flatMap(({ payload }) => [SEPARATOR, payload])
  return Buffer.concat([OPENING, ...parts.slice(1), CLOSING])
}
