/**
 * Checks the scheduler: each queue with events that may call has something pending that will ask it again (a timer, a
 * call, a lease, its turn). Once a minute a queue that has nothing is asked, logged and counted. A count above 0 means a
 * fault in the scheduler, which then costs a minute and not the queue.
 *
 *   in memory: known at once, since nothing is ever half done when the sweep runs
 *   in the store only: suspected at one sweep, since what is listed there may be leased, or be on its way here; asked if it
 *   still is at the next one; counted if a lease brings something then
 */
import type { DeliveryOptions } from './options.ts'
import type { Queue, Queues } from './queue.ts'
import type { Scheduler } from './scheduler.ts'

export interface StallSweepOptions extends DeliveryOptions {
  readonly queues: Queues
  readonly scheduler: Pick<Scheduler, 'ask' | 'isForgotten'>
}

const SWEEP_EVERY_MS = 60_000

/** Answers how to end it. */
export function sweepStalls({
  clock,
  log,
  store,
  queues,
  scheduler,
  metrics,
}: StallSweepOptions): () => void {
  let isOver = false
  let cancel = clock.after(SWEEP_EVERY_MS, sweep)

  function report({ key: { adAccountId, isTest } }: Queue): void {
    metrics.queuesStalled.inc()
    log.error({ ad_account_id: adAccountId, is_test: isTest, reason: 'stalled' }, 'nothing asked this queue')
  }

  function sweepMemory(): void {
    for (const queue of queues) {
      if (!queue.hasWork || !scheduler.isForgotten(queue)) continue
      report(queue)
      scheduler.ask(queue)
    }
  }

  async function sweepStore(): Promise<void> {
    const listed = new Set((await store.backlog()).map((key) => queues.of(key)))
    for (const queue of queues) {
      const isIdle = listed.has(queue) && scheduler.isForgotten(queue)
      if (isIdle && queue.isSuspected) {
        queue.onLeased = (leasedCount) => leasedCount > 0 && report(queue)
        queue.hasMoreInStore = true
        scheduler.ask(queue)
      }
      queue.isSuspected = isIdle
    }
  }

  function sweep(): void {
    sweepMemory()
    void sweepStore()
      // The store is away: the next sweep looks again.
      .catch(() => undefined)
      .then(() => {
        if (!isOver) cancel = clock.after(SWEEP_EVERY_MS, sweep)
      })
  }

  return () => {
    isOver = true
    cancel()
  }
}
