/** The store's size, the totals and the backlog: collected at scrape time. */
import type { Metrics } from '../telemetry/metrics.ts'
import type { TakeSnapshot } from './snapshot.ts'
import type { QueueBacklog } from './store.ts'

export function reportStore({
  metrics,
  takeSnapshot,
}: {
  readonly metrics: Metrics
  readonly takeSnapshot: TakeSnapshot
}): void {
  metrics.collect('storeUsedBytes', async () => (await takeSnapshot()).size.usedBytes)
  metrics.collect('diskFreeBytes', async () => (await takeSnapshot()).size.diskFreeBytes)
  metrics.collect('deadLetterBytes', async () => (await takeSnapshot()).size.deadLetterBytes)
  metrics.collect('storeFull', async () => Number((await takeSnapshot()).size.isFull))
  metrics.collect('eventsQueued', async () => (await takeSnapshot()).totals.queued)
  metrics.collect('totals', async () =>
    Object.entries((await takeSnapshot()).totals).map(([entry, value]) => [{ entry }, Number(value)]),
  )
  // The oldest first, so that the series that are left out raise no alert.
  metrics.collect('queueEvents', async () =>
    (await takeSnapshot()).backlog.map((queue) => [labelsOf(queue), queue.events]),
  )
  metrics.collect('queueOldestEventTimestamp', async () =>
    (await takeSnapshot()).backlog.map((queue) => [labelsOf(queue), queue.oldestEventTimeS]),
  )
}

function labelsOf({ adAccountId, isTest }: QueueBacklog) {
  return { ad_account_id: adAccountId, queue: isTest ? 'test' : 'live' }
}
