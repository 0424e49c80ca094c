/**
 * Checks the scheduler: each queue with events that may call has something pending that will ask it again (a timer, a
 * call, a lease, its turn). Once a minute a queue that has nothing is asked, logged and counted. A count above 0 means a
 * fault in the scheduler, which then costs a minute and not the queue.
 *
 *   in memory: known at once, since nothing is ever half done when the sweep runs
 *   in the store only: suspected at one sweep, since what is listed there may be leased, or be on its way here; asked if it
 *   still is at the next one; counted if a lease brings something then
 */
import { codeOf } from '../telemetry/log.ts'
import type { DeliveryOptions } from './options.ts'
import type { Queue, Queues } from './queue.ts'

export interface StallSweepOptions extends Pick<DeliveryOptions, 'clock' | 'log' | 'store' | 'metrics'> {
  readonly queues: Queues
  readonly isForgotten: (queue: Queue) => boolean
  /** Asks the queue. */
  readonly ask: (queue: Queue) => void
}

export interface StallSweep {
  start(): void
  /** A lease of the queue ended, and brought so much. */
  leased(queue: Queue, leasedCount: number): void
  /** Something asked the queue. */
  asked(queue: Queue): void
  close(): void
}

const SWEEP_EVERY_MS = 60_000

export function createStallSweep(options: StallSweepOptions): StallSweep {
  const { clock, log, store, queues, isForgotten, ask, metrics } = options
  /** Of the sweep before: nothing asked them since. */
  const suspected = new Set<Queue>()
  /** Asked by a sweep; what their next lease brings was forgotten. */
  const probed = new Set<Queue>()
  let cancel = () => {}
  let isClosed = false

  function report({ key: { adAccountId, isTest } }: Queue): void {
    metrics.queuesStalled.inc()
    log.error({ ad_account_id: adAccountId, is_test: isTest, reason: 'stalled' }, 'nothing asked this queue')
  }

  function sweepMemory(): void {
    for (const queue of queues) {
      if (!queue.hasWork || !isForgotten(queue)) continue
      report(queue)
      ask(queue)
    }
  }

  async function sweepStore(): Promise<void> {
    const listed = await store.backlog()
    const idle = listed.map((key) => queues.of(key)).filter(isForgotten)
    const found = idle.filter((queue) => suspected.has(queue))
    suspected.clear()
    for (const queue of idle) suspected.add(queue)
    for (const queue of found) {
      probed.add(queue)
      queue.hasMoreInStore = true
      ask(queue)
    }
  }

  function sweep(): void {
    sweepMemory()
    void sweepStore()
      // The store is away: the next sweep looks again.
      .catch((error: unknown) => log.debug({ code: codeOf(error) }, 'backlog cannot be read'))
      .then(() => {
        if (!isClosed) cancel = clock.after(SWEEP_EVERY_MS, sweep)
      })
  }

  return {
    start: () => void (cancel = clock.after(SWEEP_EVERY_MS, sweep)),
    asked: (queue) => void suspected.delete(queue),
    leased(queue, leasedCount) {
      if (probed.delete(queue) && leasedCount > 0) report(queue)
    },
    close() {
      isClosed = true
      cancel()
    },
  }
}
