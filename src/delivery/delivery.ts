/**
 * Delivery: sends committed batches to Pinterest. The path of a batch, downwards:
 *
 *   send            it joins its queue, in memory or in the store (queue.ts, prefetch.ts)
 *   scheduler.ts    a call of the queue leaves as soon as it may
 *   call.ts         one call with up to 1,000 events, and its answer
 *   decision.ts     what the answer means; breakers.ts: whether the next call may leave
 *   canary.ts       whether a refusal is about the call's events or about the account
 *   conclude.ts, bisect.ts   outcomes, or another try
 *   acknowledgements.ts   outcomes are written to the store, and `send` resolves with them
 */
import { orAfter, repeat } from '../clock.ts'
import type { SharedBreaker } from '../store/shared.ts'
import type { QueueKey, LeasedBatch } from '../store/store.ts'
import type { PostTrace } from '../telemetry/tracing.ts'
import { createAcknowledgements } from './acknowledgements.ts'
import { createBackground } from './background.ts'
import { batchOf, loseLease, type EventOutcome } from './batch.ts'
import { ALL_QUEUES, createBreakers } from './breakers.ts'
import { createCaller } from './call.ts'
import type { DeliveryOptions } from './options.ts'
import { Prefetch } from './prefetch.ts'
import { haltOf, Queues, slicesOf, type Queue } from './queue.ts'
import { stateOf, type QueueState } from './queue-status.ts'
import { createScheduler, stopOf, type Conditions } from './scheduler.ts'
import { createWaitingPosts } from './waiting-posts.ts'

export type Delivery = ReturnType<typeof createDelivery>

/** What nobody reported, such as the batches of a replica that died, waits no longer than this. */
const POLL_EVERY_MS = 60_000

export function createDelivery(options: DeliveryOptions) {
  const { store, clock } = options
  const queues = new Queues()
  const ask = (queue: Queue) => scheduler.ask(queue)
  const waitingPosts = createWaitingPosts(clock)
  const shared = { ...options, waitingPosts, background: createBackground(options), onChange: ask }
  const prefetch = new Prefetch({ ...shared, beforeRelease: () => acknowledgements.flush() })
  const acknowledgements = createAcknowledgements({ ...shared, prefetch, onCaughtUp: () => scheduler.wake() })
  const { acknowledge, isBehind, isStuck } = acknowledgements
  const breakers = createBreakers({ ...options, onChangeForAll: () => [...queues].forEach(ask) })
  const caller = createCaller({ ...shared, breakers, prefetch, acknowledge })
  const scheduler = createScheduler({ ...shared, breakers, prefetch, caller, isStoreBehind: isBehind })
  let endPolling = () => {}
  options.callLimiter.onRefill((adAccountId) => queues.ofAccount(adAccountId).forEach(ask))

  /** Batches of the queue were added in the store, not by `send`. */
  function wake(key: QueueKey): void {
    const queue = queues.of(key)
    queue.hasMoreInStore = true
    ask(queue)
  }

  return {
    /** Takes over what waits in the store, now and once a minute. */
    async start(): Promise<void> {
      const takeOver = async () => {
        const backlog = await store.backlog()
        // Their events expire in the store: nothing of them comes here that would say so.
        for (const queue of queues)
          if (haltOf(queue, options.vault) === 'no_account') queue.hasMoreInStore = false
        backlog.forEach(wake)
      }
      await takeOver()
      endPolling = repeat(clock, POLL_EVERY_MS, () => takeOver().catch(() => undefined))
    },
    wake,
    /**
     * Takes over a committed batch with its lease. Resolves with its events' outcomes (in the stored order)
     * once all are final, or after `waitMs`, whichever is first; delivery continues either way.
     */
    async send(leased: LeasedBatch, waitMs: number, trace?: PostTrace): Promise<readonly EventOutcome[]> {
      const queue = queues.of(leased)
      const { batch, slice } = batchOf(leased, trace)
      const isHopeless = isStoppedFor(waitMs, queue, scheduler.conditionsOf(queue), options)
      const done = waitingPosts.waitFor(batch, isHopeless ? 0 : waitMs)
      prefetch.take(queue, slice)
      ask(queue)
      await done
      return batch.outcomes
    },
    /** An account was registered, rotated, paused, resumed or removed: what waits is tried at once, but not during the pause after a 429. */
    accountChanged(adAccountId: string): void {
      for (const queue of queues.ofAccount(adAccountId)) {
        breakers.allowTrial(queue)
        ask(queue)
      }
    },
    /** Applies a breaker of another replica: of a queue, or the one for all (`ALL_QUEUES`). */
    learn(key: QueueKey, learned: SharedBreaker): void {
      if (key.adAccountId === ALL_QUEUES.adAccountId) return breakers.learn(breakers.all, learned)
      const queue = queues.of(key)
      breakers.learn(queue, learned)
      prefetch.parkIfStopped(queue)
      ask(queue)
    },
    /** Every lease was lost: other replicas may send these batches, this one must not. Their posts are answered "queued". */
    dropLeases(): void {
      for (const { batch } of [...caller.inFlight].flatMap(slicesOf)) loseLease(batch)
      for (const queue of queues) {
        prefetch.abandon(queue)
        wake(queue.key)
      }
    },
    /** Of one account, or all; without an account only those in which something waits. */
    queues: (adAccountId?: string): readonly QueueState[] =>
      queues
        .ofAccount(adAccountId)
        .flatMap((queue) => stateOf(queue, scheduler.conditionsOf(queue), options.vault) ?? []),
    callsInFlight: () => caller.inFlight.size,
    isStuck,
    /** No call leaves from now on; resolves when those in flight have ended, or after `patienceMs`. */
    async stop(patienceMs: number): Promise<void> {
      scheduler.stop()
      prefetch.stop()
      endPolling()
      await orAfter(clock, patienceMs, Promise.all([...caller.inFlight].flatMap(({ ended }) => ended ?? [])))
    },
    /** Ends every post's wait with what is known, now and from now on. */
    endWaiting: () => waitingPosts.endAll(),
    /** After `stop`, when no call is in flight: writes the last decisions. Queued events stay in the store. */
    close: () => shared.background.close(),
  }
}

/** No outcome is possible within the wait: the post is answered at once and frees its connection. */
function isStoppedFor(
  waitMs: number,
  queue: Queue,
  conditions: Conditions,
  { tokenWatch }: DeliveryOptions,
): boolean {
  const stop = stopOf(queue, conditions)
  if (stop === undefined || stop.untilMs <= conditions.nowMs + waitMs) return false
  return stop.reason === 'paused' || !tokenWatch.isReplacing(queue.key.adAccountId)
}
