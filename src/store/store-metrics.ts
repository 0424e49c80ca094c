/** The store's size, the totals and the backlog, as they are when somebody looks. */
import type { Clock } from '../clock.ts'
import type { LabelledValue, Metrics } from '../telemetry/metrics.ts'
import type { TakeSnapshot } from './snapshot.ts'
import type { QueueBacklog } from './store.ts'

/** The oldest ones: an alert on age comes in time when that is among them. */
const SERIES_LIMIT = 1000

export function reportStore(options: {
  readonly metrics: Metrics
  readonly takeSnapshot: TakeSnapshot
  readonly clock: Clock
}): void {
  const { metrics, takeSnapshot, clock } = options
  const oldest = async () => (await takeSnapshot()).backlog.slice(0, SERIES_LIMIT)

  metrics.gauge(
    'pinrelay_store_used_bytes',
    'What the queue takes of the disk, its WAL included.',
    async () => {
      return (await takeSnapshot()).size.usedBytes
    },
  )
  metrics.gauge(
    'pinrelay_store_disk_free_bytes',
    'Free bytes of the disk that the store is on.',
    async () => {
      return (await takeSnapshot()).size.diskFreeBytes
    },
  )
  metrics.gauge('pinrelay_dead_letters_bytes', 'What dead letters take of the store.', async () => {
    return (await takeSnapshot()).size.deadLetterBytes
  })
  metrics.gauge('pinrelay_store_full', '1 while posts are refused because the store is full.', async () => {
    return (await takeSnapshot()).size.isFull ? 1 : 0
  })
  metrics.gauge('pinrelay_events_queued', 'Events on disk that wait for their outcome.', async () => {
    return (await takeSnapshot()).totals.queued
  })
  metrics.labelledGauge({
    name: 'pinrelay_totals_events',
    help: 'The totals since the store began: received = delivered + rejected + expired + queued + duplicate.',
    labels: ['entry'],
    async read() {
      const { totals } = await takeSnapshot()
      return Object.entries(totals).map(([entry, value]) => ({ labels: { entry }, value: Number(value) }))
    },
  })
  metrics.labelledGauge({
    name: 'pinrelay_queue_events',
    help: 'Events of a queue that wait for their outcome, of the 1,000 queues with the oldest events.',
    labels: ['ad_account_id', 'queue'],
    read: async () => (await oldest()).map((queue) => labelled(queue, queue.events)),
  })
  metrics.labelledGauge({
    name: 'pinrelay_queue_oldest_event_age_seconds',
    help: 'Age of the oldest event that waits in a queue; after 3,600 Pinterest counts an event as offline.',
    labels: ['ad_account_id', 'queue'],
    async read() {
      const nowS = clock.wallMs() / 1000
      return (await oldest()).map((queue) => labelled(queue, Math.max(0, nowS - queue.oldestEventTimeS)))
    },
  })
}

function labelled({ adAccountId, isTest }: QueueBacklog, value: number): LabelledValue {
  return { labels: { ad_account_id: adAccountId, queue: isTest ? 'test' : 'live' }, value }
}
