/**
 * The scheduler: which queue may call next, and why another may not.
 *
 * `blockerOf` says, purely, what blocks the next call of a queue. Each blocker ends in one way, and what ends it asks the queue
 * again:
 *
 *   a moment is reached   `untilMs`: the queue's timer
 *   paused, no_account    the operator's change (`Delivery.accountChanged`)
 *   leasing               the end of the lease
 *   canary_out            the end of the canary
 *   no_slot               the end of a call of the queue
 *   nothing_ready         whatever brings events: a post, a lease, the end of a call
 *   pinterest_down        while the trial for all is out, its end
 *   store_behind, all_slots_busy   the queue keeps its turn until acknowledgements are written or a call ends
 *
 * Turns go to the queue that was served longest ago, one call each: a long queue delays another by one call at most. Slots
 * give natural batching: a call leaves at once while its queue has a free one; while all are busy, batches gather and
 * leave together in the next.
 */
import TinyQueue from 'tinyqueue'
import { isHold, type Breaker, type OpenReason, type Breakers } from './breakers.ts'
import type { Caller } from './call.ts'
import type { DeliveryOptions } from './options.ts'
import type { Prefetch } from './prefetch.ts'
import { haltOf, type CallInFlight, type Halt, type Queue } from './queue.ts'

export interface Conditions {
  readonly nowMs: number
  readonly halt: Halt | undefined
  readonly breakerForAll: Breaker
  readonly inFlight: Iterable<CallInFlight> & { readonly size: number }
  readonly callsInFlight: number
  readonly callsInFlightTotal: number
  /** Outcomes wait too long to be written, or too many do. */
  readonly isStoreBehind: boolean
}

export interface Stop {
  readonly reason: Halt | 'pinterest_down' | OpenReason
  /** Monotonic: when it ends; Infinity where time alone does not end it. */
  readonly untilMs: number
}

export interface Blocker {
  readonly reason:
    | Stop['reason']
    | 'nothing_ready'
    | 'leasing'
    | 'canary_out'
    | 'no_slot'
    | 'call_limiter'
    | 'store_behind'
    | 'all_slots_busy'
  readonly untilMs: number
}

/** What stops the queue, also once a trial may leave. What needs a person goes before what ends by itself. */
export function stopOf({ breaker }: Queue, { halt, breakerForAll }: Conditions): Stop | undefined {
  if (halt !== undefined) return { reason: halt, untilMs: Infinity }
  const isDown = breakerForAll.status === 'open'
  const downUntilMs = isDown ? breakerForAll.untilMs : -Infinity
  if (breaker.status === 'open') {
    const reason = isDown && !isHold(breaker.reason) ? 'pinterest_down' : breaker.reason
    return { reason, untilMs: Math.max(breaker.untilMs, downUntilMs) }
  }
  return isDown ? { reason: 'pinterest_down', untilMs: downUntilMs } : undefined
}

/** Why no call of the queue may leave; undefined: one may. The call limiter is asked last, by whoever lets it leave. */
export function blockerOf(queue: Queue, conditions: Conditions): Blocker | undefined {
  const { nowMs, halt, breakerForAll, inFlight } = conditions
  const hasSome = queue.hasReady || queue.isAsking || queue.hasMoreInStore || queue.isLeasing
  if (halt === undefined && !hasSome) return { reason: 'nothing_ready', untilMs: queue.restsUntilMs }
  const stop = stopOf(queue, conditions)
  if (stop && stop.untilMs > nowMs) return stop
  if (queue.isCanaryOut) return { reason: 'canary_out', untilMs: Infinity }
  const unready = queue.needsCanary ? undefined : unreadyOf(queue, nowMs)
  if (unready) return unready
  if (queue.calls.size >= (queue.breaker.status === 'open' ? 1 : conditions.callsInFlight)) {
    return { reason: 'no_slot', untilMs: Infinity }
  }
  if (breakerForAll.status === 'open' && isTrialOut(inFlight)) {
    return { reason: 'pinterest_down', untilMs: Infinity }
  }
  return blockerOfAll(conditions)
}

/** Why no call with events of the queue may leave. */
function unreadyOf(queue: Queue, nowMs: number): Blocker | undefined {
  if (queue.isLeasing && !queue.fillsCall) return { reason: 'leasing', untilMs: queue.restsUntilMs }
  if (queue.hasReady) return undefined
  const leaseAgainMs = queue.leaseAgainMs > nowMs ? queue.leaseAgainMs : Infinity
  return { reason: 'nothing_ready', untilMs: Math.min(queue.restsUntilMs, leaseAgainMs) }
}

/** Why no queue at all may call. */
function blockerOfAll({ inFlight, callsInFlightTotal, isStoreBehind }: Conditions): Blocker | undefined {
  if (inFlight.size >= callsInFlightTotal) return { reason: 'all_slots_busy', untilMs: Infinity }
  return isStoreBehind ? { reason: 'store_behind', untilMs: Infinity } : undefined
}

function isTrialOut(inFlight: Iterable<CallInFlight>): boolean {
  for (const { isTrialForAll } of inFlight) if (isTrialForAll) return true
  return false
}

export interface SchedulerOptions extends DeliveryOptions {
  readonly breakers: Breakers
  readonly prefetch: Prefetch
  readonly caller: Caller
  readonly isStoreBehind: () => boolean
}

export function createScheduler(options: SchedulerOptions) {
  const { clock, callsInFlight, callsInFlightTotal, breakers, prefetch, caller } = options
  const turns = new TinyQueue<Queue>([], (a, b) => a.servedNumber - b.servedNumber)
  let turn = 0
  let isDue = false
  let isStopped = false

  /** The queue may be able to call: it gets a turn. */
  function ask(queue: Queue): void {
    if (!queue.isScheduled && (queue.hasWork || queue.isLeasing)) {
      queue.isScheduled = true
      turns.push(queue)
    }
    wake()
  }

  /**
   * Calls may be possible again, for every queue. After the microtasks of this turn of the loop: batches that were committed
   * together leave together.
   */
  function wake(): void {
    if (isDue || isStopped || turns.length === 0) return
    isDue = true
    setImmediate(serve)
  }

  function serve(): void {
    isDue = false
    for (let queue = turns.peek(); queue && !isStopped; queue = turns.peek()) {
      // One reading of the clock: a pause that ends between two readings would refuse without a timer.
      const conditions = conditionsOf(queue)
      if (blockerOfAll(conditions)) return
      turns.pop()
      queue.isScheduled = false
      const blocker = judge(queue, conditions)
      if (!blocker) {
        caller.start(queue)
        queue.servedNumber = ++turn
        ask(queue)
      } else if (blocker.untilMs < Infinity) askIn(queue, blocker.untilMs - conditions.nowMs)
    }
  }

  function judge(queue: Queue, conditions: Conditions): Blocker | undefined {
    const { nowMs } = conditions
    queue.endRests(nowMs)
    prefetch.refill(queue, nowMs)
    const blocker = blockerOf(queue, conditions)
    if (blocker === undefined) return takeToken(options, queue, nowMs)
    queue.waitsForCallLimiterSinceMs = undefined
    // Includes what was leased after the queue was stopped.
    prefetch.parkIfStopped(queue)
    return blocker
  }

  function conditionsOf(queue: Queue): Conditions {
    return {
      nowMs: clock.monotonicMs(),
      halt: haltOf(queue, options.vault),
      breakerForAll: breakers.all.breaker,
      inFlight: caller.inFlight,
      callsInFlight,
      callsInFlightTotal,
      isStoreBehind: options.isStoreBehind(),
    }
  }

  /** At most one timer per queue. */
  function askIn(queue: Queue, delayMs: number): void {
    queue.cancelTimer?.()
    queue.cancelTimer = clock.after(Math.max(0, delayMs), () => {
      queue.cancelTimer = undefined
      ask(queue)
    })
  }

  return {
    ask,
    wake,
    conditionsOf,
    /** No call leaves from now on. */
    stop: () => void (isStopped = true),
  }
}

function takeToken(
  { callLimiter, metrics }: SchedulerOptions,
  queue: Queue,
  nowMs: number,
): Blocker | undefined {
  const waitMs = callLimiter.take(queue.key.adAccountId)
  queue.waitsForCallLimiterSinceMs ??= nowMs
  if (waitMs > 0) return { reason: 'call_limiter', untilMs: nowMs + waitMs }
  metrics.callLimiterSeconds.observe((nowMs - queue.waitsForCallLimiterSinceMs) / 1000)
  queue.waitsForCallLimiterSinceMs = undefined
  return undefined
}
