/**
 * Checks the scheduler: each queue with events that may call has something pending that will ask it again (a timer, a
 * call, a lease, its turn). Once a minute a queue that has nothing is asked, logged and counted. A count above 0 means a
 * fault in the scheduler, which then delays the queue by a minute at most.
 */
import type { DeliveryOptions } from './options.ts'
import type { Queue, Queues } from './queue.ts'
import type { Scheduler } from './scheduler.ts'

export interface StallSweepOptions extends Pick<DeliveryOptions, 'clock' | 'log' | 'store' | 'metrics'> {
  readonly queues: Queues
  readonly scheduler: Pick<Scheduler, 'ask' | 'isForgotten'>
}

const SWEEP_EVERY_MS = 60_000
/** Until then another replica's notice has arrived, of what it has just released. */
const NOTICE_MS = 5000

/** Answers how to end it. */
export function sweepStalls(options: StallSweepOptions): () => void {
  const { clock, log, store, queues, scheduler, metrics } = options
  let isOver = false
  let cancel = clock.after(SWEEP_EVERY_MS, sweep)

  function report({ key: { adAccountId, isTest } }: Queue): void {
    metrics.queuesStalled.inc()
    log.error({ ad_account_id: adAccountId, is_test: isTest, reason: 'stalled' }, 'queue stalled')
  }

  async function findInStore(): Promise<Queue[]> {
    const backlog = await store.backlog()
    return backlog.map((key) => queues.of(key)).filter((queue) => scheduler.isForgotten(queue))
  }

  /** What is listed may be leased elsewhere: the queue counts if a lease brings something. */
  function askFound(found: readonly Queue[]): void {
    for (const queue of found) {
      if (!scheduler.isForgotten(queue)) continue
      queue.hasMoreInStore = true
      queue.onFoundInStore = () => report(queue)
      scheduler.ask(queue)
    }
    cancel = clock.after(SWEEP_EVERY_MS - NOTICE_MS, sweep)
  }

  function sweep(): void {
    for (const queue of queues) {
      if (!queue.hasWork || !scheduler.isForgotten(queue)) continue
      report(queue)
      scheduler.ask(queue)
    }
    void findInStore()
      // The store is away: the next sweep retries.
      .catch(() => [])
      .then((found) => {
        if (!isOver) cancel = clock.after(NOTICE_MS, () => askFound(found))
      })
  }

  return () => {
    isOver = true
    cancel()
  }
}
