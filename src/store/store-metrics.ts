/** The store's size, the books and the backlog, as they are when somebody looks. */
import type { Clock } from '../clock.ts'
import type { LabelledValue, Metrics } from '../metrics.ts'
import type { LookAtStore } from './look.ts'
import type { LaneBacklog } from './store.ts'

/** The oldest ones: an alert on age comes in time when that is among them. */
const SERIES_LIMIT = 1000

export function reportStore(options: {
  readonly metrics: Metrics
  readonly look: LookAtStore
  readonly clock: Clock
}): void {
  const { metrics, look, clock } = options
  const oldest = async () => (await look()).backlog.slice(0, SERIES_LIMIT)

  metrics.gauge(
    'pinrelay_store_used_bytes',
    'What the queue takes of the disk, its WAL included.',
    async () => {
      return (await look()).size.usedBytes
    },
  )
  metrics.gauge(
    'pinrelay_store_disk_free_bytes',
    'Free bytes of the disk that the store is on.',
    async () => {
      return (await look()).size.diskFreeBytes
    },
  )
  metrics.gauge('pinrelay_dead_letters_bytes', 'What dead letters take of the store.', async () => {
    return (await look()).size.deadLetterBytes
  })
  metrics.gauge('pinrelay_store_full', '1 while posts are refused because the store is full.', async () => {
    return (await look()).size.isFull ? 1 : 0
  })
  metrics.gauge('pinrelay_events_queued', 'Events on disk that wait for their verdict.', async () => {
    return (await look()).books.queued
  })
  metrics.labelledGauge({
    name: 'pinrelay_books_events',
    help: 'The books since the store began: received = delivered + rejected + expired + queued + duplicate.',
    labels: ['entry'],
    async read() {
      const { books } = await look()
      return Object.entries(books).map(([entry, value]) => ({ labels: { entry }, value: Number(value) }))
    },
  })
  metrics.labelledGauge({
    name: 'pinrelay_lane_events_queued',
    help: 'Events of a lane that wait for their verdict, of the 1,000 lanes with the oldest events.',
    labels: ['ad_account_id', 'lane'],
    read: async () => (await oldest()).map((lane) => labelled(lane, lane.events)),
  })
  metrics.labelledGauge({
    name: 'pinrelay_lane_oldest_event_age_seconds',
    help: 'Age of the oldest event that waits in a lane; after 3,600 Pinterest counts an event as offline.',
    labels: ['ad_account_id', 'lane'],
    async read() {
      const nowS = clock.wallMs() / 1000
      return (await oldest()).map((lane) => labelled(lane, Math.max(0, nowS - lane.oldestEventTimeS)))
    },
  })
}

function labelled({ adAccountId, isTest }: LaneBacklog, value: number): LabelledValue {
  return { labels: { ad_account_id: adAccountId, lane: isTest ? 'test' : 'live' }, value }
}
