/**
 * Delivery: the one driver of all queues. It lets calls leave as slots, breakers and the call limiter allow, and acts on what
 * Pinterest answers. The decisions are pure and live beside it (queue, breaker, decision, retry).
 *
 * Natural batching: a call leaves at once while its queue has a free slot; while all slots are busy, batches gather and
 * leave together in the next one. So nothing waits when there is little to do, and calls grow when there is much.
 */
import TinyQueue from 'tinyqueue'
import type { CallLimiter } from '../limits/call-limiter.ts'
import { orAfter, type Clock } from '../clock.ts'
import { codeOf, placeOf, type Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { CallOutcome, Pinterest } from '../pinterest/outcome.ts'
import type { QueueKey, LeasedBatch, Store } from '../store/store.ts'
import type { PostTrace, Tracing } from '../telemetry/tracing.ts'
import type { Vault } from '../vault/vault.ts'
import { createActOnDecision } from './act-on-decision.ts'
import { callBody } from './call-body.ts'
import { expireEvents } from './expire.ts'
import { afterCall, learn, learnedOf, allowTrial, type CallResult, type LearnedBreaker } from './breaker.ts'
import { nextTryAtMs, stateOf, type QueueState } from './queue-state.ts'
import { Queue } from './queue.ts'
import { noteFailure, batchOf, type EventOutcome, type Slice } from './batch.ts'
import { createOutage } from './outage.ts'
import { createPersist } from './persist.ts'
import { createRunning } from './running.ts'
import { reportCall, reportBreaker } from './report.ts'
import { backoffMs } from './retry.ts'
import { groupOf, membersOf, type Group } from './bisect.ts'
import { createAcknowledgements } from './acknowledgements.ts'
import { createStallSweep } from './stall-sweep.ts'
import { createPrefetch } from './prefetch.ts'
import type { TokenWatch } from './token-watch.ts'
import { decide, type Decision } from './decision.ts'
import { createWaitingPosts } from './waiting-posts.ts'

export interface DeliveryOptions {
  readonly store: Store
  readonly pinterest: Pinterest
  readonly callLimiter: CallLimiter
  readonly vault: Vault
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly callsInFlight: number
  readonly callsInFlightTotal: number
  readonly maxEventAgeMs: number
  /** Whether ages can be believed: the wall clock was not set a short while ago. */
  readonly isClockTrusted: () => boolean
  readonly tokenWatch: TokenWatch
  /** Only a person's consent brings the account a new token. */
  readonly needsConsent: (adAccountId: string) => boolean
  readonly log: Log
  readonly metrics: Metrics
  readonly tracing: Tracing
  /** For other replicas: what a queue's breaker is like from now on, or that of all queues. */
  readonly onBreaker?: (queue: QueueKey | 'all', breaker: LearnedBreaker) => void
}

export interface Delivery {
  /** Picks up what an earlier process left in the store. */
  start(): Promise<void>
  /**
   * Takes over a committed batch with its lease. Resolves with what became of each event of it (in the stored order)
   * once all have a final decision, or after `waitMs`, whichever is first; delivery goes on either way.
   */
  deliver(leased: LeasedBatch, waitMs: number, trace?: PostTrace): Promise<readonly EventOutcome[]>
  /** More of the queue waits in the store than before, and not because of `deliver`. */
  wake(queue: QueueKey): void
  /** An account was registered, rotated, paused, resumed or removed. */
  goOn(adAccountId: string): void
  /** Another replica learned this of a queue, or of Pinterest as a whole. */
  learn(queue: QueueKey | 'all', breaker: LearnedBreaker): void
  /** What is leased is not this process's any more: it is in other hands, and must not be sent. Posts get their 202. */
  letGoOfAll(): void
  /** Of one account, or all. */
  queues(adAccountId?: string): readonly QueueState[]
  callsInFlight(): number
  /** The store has not written a decision for long: no post should be taken. */
  isStuck(): boolean
  /** No call leaves from now on; resolves when those in flight have ended, or after `patienceMs`. */
  stop(patienceMs: number): Promise<void>
  /** Ends every post's wait with what is known, now and from now on. */
  endWaiting(): void
  /** After `stop`, and once no call can be under way any more: writes the last decisions. What waits stays in the store. */
  close(): Promise<void>
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const {
    store,
    pinterest,
    callLimiter,
    vault,
    clock,
    random,
    isClockTrusted,
    tokenWatch,
    log,
    metrics,
    tracing,
  } = options
  const queues = new Map<string, Queue>()
  const timers = new Map<Queue, () => void>()
  const scheduled = new TinyQueue<Queue>([], (a, b) => a.servedNumber - b.servedNumber)
  let turn = 0
  let callsInFlight = 0
  let isPumpDue = false
  let isStopped = false
  let isClosing = false

  /** Of calls that were not answered yet. */
  const underWay = new Set<Group>()
  const calls = createRunning()
  const running = createRunning()
  const waitingPosts = createWaitingPosts(clock)
  const persist = createPersist({ clock, log, isClosing: () => isClosing })
  const acknowledgements = createAcknowledgements({
    store,
    waitingPosts,
    running,
    persist,
    clock,
    metrics,
    log,
    onCaughtUp: pumpSoon,
  })
  const { acknowledge } = acknowledgements
  const stallSweep = createStallSweep({
    clock,
    log,
    queues: () => queues.values(),
    queueOf,
    backlog: () => store.backlog(),
    isForgotten,
    ask: schedule,
    onStalled: () => metrics.queuesStalled.inc(),
  })
  const prefetch = createPrefetch({
    store,
    waitingPosts,
    running,
    persist,
    clock,
    log,
    isPaused,
    onChange: schedule,
    onLeased: (queue, leasedCount) => stallSweep.leased(queue, leasedCount),
  })
  const actOnDecision = createActOnDecision({ prefetch, acknowledge, clock, random })
  const outage = createOutage<Queue>({
    clock,
    random,
    log,
    onChange: schedule,
    onBreaker: (breaker) => options.onBreaker?.('all', breaker),
  })
  callLimiter.onRefill((adAccountId) => {
    for (const kind of ['live', 'test']) {
      const queue = queues.get(`${adAccountId}/${kind}`)
      if (queue) schedule(queue)
    }
  })

  function queueOf({ adAccountId, isTest }: QueueKey): Queue {
    const name = `${adAccountId}/${isTest ? 'test' : 'live'}`
    let queue = queues.get(name)
    if (!queue) {
      queue = new Queue({ adAccountId, isTest })
      queues.set(name, queue)
    }
    return queue
  }

  function wake(key: QueueKey): void {
    const queue = queueOf(key)
    queue.hasMoreInStore = true
    schedule(queue)
  }

  // -- who may call next ------------------------------------------------------------------------------------------

  function schedule(queue: Queue): void {
    if (!queue.isScheduled) {
      queue.isScheduled = true
      scheduled.push(queue)
    }
    pumpSoon()
  }

  function isPumpHeldUp(): boolean {
    return isPumpDue || callsInFlight >= options.callsInFlightTotal || acknowledgements.isBehind()
  }

  /** Nothing forbids its calls for good, and no timer, call, lease or turn of it is to come. See stall-sweep.ts. */
  function isForgotten(queue: Queue): boolean {
    if (queue.isScheduled) return !isPumpHeldUp()
    const isAskedAgain =
      timers.has(queue) ||
      queue.callsInFlight > 0 ||
      queue.isLeasing ||
      prefetch.waitsForTurn(queue) ||
      outage.blocks(queue)
    return !isAskedAgain && !isPaused(queue)
  }

  /** After the microtasks of this turn: batches that were committed together leave together. */
  function pumpSoon(): void {
    if (isPumpDue || isStopped) return
    isPumpDue = true
    setImmediate(pump)
  }

  /** One call for the queue that was served longest ago, and again: a long queue delays another by one call at most. */
  function pump(): void {
    isPumpDue = false
    while (callsInFlight < options.callsInFlightTotal && !isStopped && !acknowledgements.isBehind()) {
      const queue = scheduled.pop()
      if (!queue) return
      queue.isScheduled = false
      if (!tryCall(queue)) continue
      queue.servedNumber = ++turn
      schedule(queue)
    }
  }

  /** Lets one call of the queue leave if nothing forbids it; else sees to it that the queue is asked again in time. */
  function tryCall(queue: Queue): boolean {
    stallSweep.asked(queue)
    if (isPaused(queue)) {
      prefetch.parkIfStopped(queue)
      return false
    }
    // One moment for all that is compared: a pause that ends between two readings would refuse, and not be waited for.
    const nowMs = clock.monotonicMs()
    prefetch.refill(queue, nowMs)
    if (!queue.mayCall(nowMs, options.callsInFlight)) {
      const changeMs = queue.nextChangeMs(nowMs)
      if (changeMs !== undefined) wakeIn(queue, changeMs - nowMs)
      return false
    }
    if (!outage.passes(queue)) return false
    const { adAccountId } = queue.key
    const waitMs = callLimiter.take(adAccountId)
    if (waitMs > 0) {
      queue.waitsForCallLimiterSinceMs ??= nowMs
      wakeIn(queue, waitMs)
      return false
    }
    metrics.callLimiterSeconds.observe((nowMs - (queue.waitsForCallLimiterSinceMs ?? nowMs)) / 1000)
    queue.waitsForCallLimiterSinceMs = undefined
    const taken = queue.takeCall(clock.wallMs())
    if (dropLost(queue, taken)) {
      callLimiter.finished(adAccountId)
      return true
    }
    const slices = withoutExpired(queue, taken.slices)
    if (slices.length > 0) calls.add(call(queue, { ...taken, slices }))
    else {
      callLimiter.finished(adAccountId)
      for (const slice of membersOf({ ...taken, slices })) queue.add(slice)
    }
    return true
  }

  function isPaused({ key }: Queue): boolean {
    // Without its account a queue has no token; its events stay for when the account is registered again.
    return vault.account(key.adAccountId)?.isPaused !== false
  }

  function wakeIn(queue: Queue, delayMs: number): void {
    timers.get(queue)?.()
    const cancel = clock.after(Math.max(0, delayMs), () => {
      timers.delete(queue)
      schedule(queue)
    })
    timers.set(queue, cancel)
  }

  /** What was under way when the leases were lost, and came back to be tried again. */
  function dropLost(queue: Queue, group: Group): boolean {
    const members = membersOf(group)
    const lost = members.filter(({ batch }) => batch.isLost)
    if (lost.length === 0) return false
    prefetch.replace(queue, lost, [])
    for (const slice of members) if (!slice.batch.isLost) queue.add(slice)
    return true
  }

  function withoutExpired(queue: Queue, slices: readonly Slice[]): Slice[] {
    if (queue.key.isTest) return [...slices]
    const oldestS = (clock.wallMs() - options.maxEventAgeMs) / 1000
    return slices.flatMap((slice) => {
      if (slice.oldestEventTimeS >= oldestS || !isClockTrusted()) return [slice]
      const { expired, kept } = expireEvents(slice, oldestS)
      prefetch.replace(queue, [slice], kept ? [kept] : [])
      if (expired) {
        const errorMessage = 'The event grew too old before Pinterest took it.'
        const outcome: EventOutcome = { status: 'expired', errorMessage, warningMessage: '' }
        acknowledge([{ slice: expired, outcomes: expired.positions.map(() => outcome) }], 'too_old')
      }
      return kept ? [kept] : []
    })
  }

  // -- one call ---------------------------------------------------------------------------------------------------

  /** Never rejects. */
  async function call(queue: Queue, group: Group): Promise<void> {
    const { slices } = group
    const { adAccountId, isTest } = queue.key
    const token = vault.tokenOf(adAccountId) ?? ''
    const wasTrial = queue.breaker.status === 'open'
    const wasOutageTrial = outage.left()
    const eventCount = slices.reduce((sum, { positions }) => sum + positions.length, 0)
    const startedMs = clock.monotonicMs()
    queue.callsInFlight += 1
    callsInFlight += 1
    const trace = tracing.beginCall({
      adAccountId,
      isTest,
      events: eventCount,
      posts: () => [...new Set(slices.map(({ batch }) => batch.trace))],
    })
    underWay.add(group)
    const outcome = await pinterest.sendEvents({ adAccountId, isTest, token, body: callBody(slices) })
    underWay.delete(group)
    queue.callsInFlight -= 1
    callsInFlight -= 1
    callLimiter.finished(adAccountId)
    trace.end(
      outcome.kind === 'answered'
        ? { status: outcome.status, outcome: outcome.kind }
        : { status: undefined, outcome: outcome.reason },
    )

    const decision = decide(outcome, eventCount, clock.wallMs())
    const durationMs = clock.monotonicMs() - startedMs
    reportCall(log, metrics, queue, { outcome, decision, events: eventCount, durationMs })
    outage.ended(outcome, decision, wasOutageTrial)
    tellTokenWatch(adAccountId, token, outcome)
    // A refusal of a token that was replaced meanwhile says nothing about the new one.
    const isOutdated = decision.action === 'hold' && vault.tokenOf(adAccountId) !== token
    if (!isOutdated) moveBreaker(queue, decision, wasTrial)
    try {
      actOnDecision(queue, group, decision, token)
    } catch (error) {
      putBack(queue, group, error)
    }
    prefetch.parkIfStopped(queue)
    schedule(queue)
  }

  function tellTokenWatch(adAccountId: string, token: string, outcome: CallOutcome): void {
    if (outcome.kind === 'unanswered') return
    const { status, code } = outcome
    if (status === 200 || status === 422) tokenWatch.accepted(adAccountId)
    if (status === 401 || status === 403) {
      // Not Pinterest's text: it may quote any of the call's events.
      const reason = code === undefined ? `status ${status}` : `status ${status}, code ${code}`
      tokenWatch.refused(adAccountId, { token, status, reason })
    }
  }

  /** What never should happen: rather a second delivery than a lost event, and rather a slow one than a loop. */
  function putBack(queue: Queue, group: Group, error: unknown): void {
    const { adAccountId, isTest } = queue.key
    const fields = { ad_account_id: adAccountId, is_test: isTest, code: codeOf(error), at: placeOf(error) }
    log.error(fields, 'a call could not be concluded')
    const slices = membersOf(group).filter(({ batch }) => batch.pendingCount > 0)
    for (const slice of slices) noteFailure(slice, { atMs: clock.wallMs(), reason: 'relay_failed' })
    const attempts = Math.max(0, ...slices.map((slice) => slice.attempts))
    if (slices.length > 0)
      queue.rest(groupOf(slices), clock.monotonicMs() + backoffMs(attempts, random()), false)
  }

  function moveBreaker(queue: Queue, decision: Decision, wasTrial: boolean): void {
    const before = queue.breaker
    queue.breaker = afterCall(before, callResult(decision), wasTrial, clock.monotonicMs(), random())
    if (wasTrial && queue.breaker.status === 'closed') queue.wakeAll()
    if (queue.breaker !== before && (before.status === 'open' || queue.breaker.status === 'open')) {
      options.onBreaker?.(queue.key, learnedOf(queue.breaker, clock.monotonicMs()))
    }
    reportBreaker(log, queue, before, clock.monotonicMs())
  }

  /** No decision can come within the wait: the post is answered at once, instead of holding a connection for nothing. */
  function isHopeless(queue: Queue, waitMs: number): boolean {
    if (isPaused(queue)) return true
    if (tokenWatch.isReplacing(queue.key.adAccountId)) return false
    return (nextTryAtMs(queue, outage.untilMs()) ?? 0) > clock.monotonicMs() + waitMs
  }

  return {
    async start() {
      for (const queue of await store.backlog()) wake(queue)
      stallSweep.start()
    },

    wake,

    async deliver(leased, waitMs, trace) {
      const queue = queueOf(leased)
      const { batch, slice } = batchOf(leased, trace)
      const done = waitingPosts.waitFor(batch, isHopeless(queue, waitMs) ? 0 : waitMs)
      prefetch.take(queue, slice)
      schedule(queue)
      await done
      return batch.outcomes
    },

    goOn(adAccountId) {
      for (const queue of queues.values()) {
        if (queue.key.adAccountId !== adAccountId) continue
        queue.breaker = allowTrial(queue.breaker, clock.monotonicMs())
        schedule(queue)
      }
    },

    learn(key, learned) {
      if (key === 'all') {
        outage.learn(learned)
        return
      }
      const queue = queueOf(key)
      const nowMs = clock.monotonicMs()
      const next = learn(queue.breaker, learned, nowMs)
      if (next === queue.breaker) return
      const before = queue.breaker
      queue.breaker = next
      if (next.status === 'closed') queue.wakeAll()
      reportBreaker(log, queue, before, nowMs)
      prefetch.parkIfStopped(queue)
      schedule(queue)
    },

    letGoOfAll() {
      for (const { batch } of [...underWay].flatMap(membersOf)) {
        batch.isLost = true
        waitingPosts.done(batch.batchId)
      }
      for (const queue of queues.values()) {
        prefetch.abandon(queue)
        queue.hasMoreInStore = true
        schedule(queue)
      }
    },

    queues: (adAccountId) =>
      [...queues.values()]
        .filter(({ key }) => adAccountId === undefined || key.adAccountId === adAccountId)
        .map((queue) =>
          stateOf(queue, {
            isPaused: isPaused(queue),
            needsConsent: options.needsConsent(queue.key.adAccountId),
            outageUntilMs: outage.untilMs(),
            nowMs: clock.monotonicMs(),
          }),
        ),

    callsInFlight: () => callsInFlight,

    isStuck: () => acknowledgements.isStuck(),

    async stop(patienceMs) {
      isStopped = true
      prefetch.stop()
      outage.close()
      stallSweep.close()
      for (const cancel of timers.values()) cancel()
      timers.clear()
      await orAfter(clock, patienceMs, calls.ended())
    },

    endWaiting: () => waitingPosts.endAll(),

    async close() {
      isClosing = true
      await calls.ended()
      await running.ended()
    },
  }
}

function callResult(decision: Decision): CallResult {
  switch (decision.action) {
    case 'acknowledge':
    case 'bisect':
      return { kind: 'answered' }
    case 'retry':
      return { kind: 'failed' }
    case 'pause':
      return { kind: 'limited', delayMs: decision.delayMs }
    case 'hold':
      return { kind: 'held', reason: decision.reason }
  }
}
