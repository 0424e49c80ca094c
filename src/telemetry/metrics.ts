/**
 * The relay's metrics for Prometheus: one table, and prom-client's own objects made from it. Labels have few values: statuses,
 * outcomes, reasons, and a bounded number of ad accounts; never anything of a customer.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export interface Metric {
  /** Its end says the type: see `typeOf`. */
  readonly name: `pinrelay_${string}`
  readonly help: string
  readonly labels?: readonly string[] | undefined
  readonly buckets?: readonly number[] | undefined
}

export function typeOf({
  name,
  buckets,
}: Pick<Metric, 'name' | 'buckets'>): 'counter' | 'gauge' | 'histogram' {
  if (buckets !== undefined) return 'histogram'
  return name.endsWith('_total') ? 'counter' : 'gauge'
}

/** Of a post and its stages: a millisecond to the longest wait. */
const POST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const CALL_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const CALL_LIMITER_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60]
const COMMIT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const COUNT_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000]

export const METRICS = {
  accountEvents: {
    name: 'pinrelay_account_events_total',
    help: 'Events by account and outcome (delivered, rejected, expired, filtered, duplicate; or invalid) since this process began, of the first 1,000 accounts. Under other: further accounts, what expired in the queue, and what was erased without naming an account (as filtered). GET /totals counts since the store began.',
    labels: ['ad_account_id', 'outcome'],
  },
  accountNeedsConsent: {
    name: 'pinrelay_account_needs_consent',
    help: '1 for each account whose grant Pinterest refused: somebody has to authorize it again.',
    labels: ['ad_account_id'],
  },
  accountOverShare: {
    name: 'pinrelay_account_over_share',
    help: '1 for an account whose posts are refused: more of its events wait than its share of the store holds.',
    labels: ['ad_account_id'],
  },
  adminRefused: {
    name: 'pinrelay_admin_refused_total',
    help: 'Requests and logins on the admin port without its token or a session.',
  },
  buildInfo: {
    name: 'pinrelay_build_info',
    help: 'Always 1; the version is the label.',
    labels: ['version'],
  },
  callSeconds: {
    name: 'pinrelay_call_duration_seconds',
    help: 'Duration of calls to Pinterest.',
    buckets: CALL_BUCKETS,
  },
  callEvents: { name: 'pinrelay_call_events', help: 'Events in one call.', buckets: COUNT_BUCKETS },
  callLimiterAvailable: {
    name: 'pinrelay_call_limiter_available',
    help: 'Calls to Pinterest that an account could make at once, of the 1,000 accounts with the fewest.',
    labels: ['ad_account_id'],
  },
  callLimiterSeconds: {
    name: 'pinrelay_call_limiter_wait_seconds',
    help: 'How long each call to Pinterest waited for the limit of its account, 0 included.',
    buckets: CALL_LIMITER_BUCKETS,
  },
  calls: {
    name: 'pinrelay_calls_total',
    help: 'Calls to Pinterest, by outcome: an HTTP status, or why there was none.',
    labels: ['outcome'],
  },
  canaries: {
    name: 'pinrelay_canaries_total',
    help: 'Calls with an event of the relay itself, by what followed: acknowledge (taken), hold (refused), pause or retry (nothing was decided).',
    labels: ['decision'],
  },
  clockInDoubt: {
    name: 'pinrelay_clock_in_doubt',
    help: '1 while nothing expires because the wall clock was set.',
  },
  deadLettersDeleted: {
    name: 'pinrelay_dead_letters_deleted_total',
    help: 'Dead letters that the relay deleted, by reason: too_old (DEAD_LETTER_DAYS), store_part_full.',
    labels: ['reason'],
  },
  deadLetters: {
    name: 'pinrelay_dead_letters_total',
    help: 'Events that became dead letters, by reason.',
    labels: ['reason'],
  },
  eventWarnings: {
    name: 'pinrelay_event_warnings_total',
    help: 'Warnings on events, by code.',
    labels: ['code'],
  },
  eventsInvalid: {
    name: 'pinrelay_events_invalid_total',
    help: 'Events that the relay found invalid, by reason.',
    labels: ['reason'],
  },
  eventsQueued: { name: 'pinrelay_events_queued', help: 'Events on disk that wait for their outcome.' },
  logLinesDropped: {
    name: 'pinrelay_log_lines_dropped_total',
    help: 'Log lines that were not written: nobody reads the log, or its disk is full.',
  },
  postSeconds: {
    name: 'pinrelay_post_duration_seconds',
    help: 'From the first byte of a post to its answer, refused posts included; without posts that chose to wait (Prefer: wait=N).',
    buckets: POST_BUCKETS,
  },
  postLimiterAvailable: {
    name: 'pinrelay_post_limiter_available',
    help: 'Posts of an account that would pass at once, of the 1,000 accounts with the fewest.',
    labels: ['ad_account_id'],
  },
  postStageSeconds: {
    name: 'pinrelay_post_stage_duration_seconds',
    help: 'Stages of a post: prepare (its turn, parsing, normalizing, hashing), commit, outcome (the wait for Pinterest).',
    labels: ['stage'],
    buckets: POST_BUCKETS,
  },
  posts: {
    name: 'pinrelay_posts_total',
    help: 'Posts answered on the public port, by HTTP status.',
    labels: ['status'],
  },
  queueEvents: {
    name: 'pinrelay_queue_events',
    help: 'Events of a queue that wait for their outcome, of the 1,000 queues with the oldest events.',
    labels: ['ad_account_id', 'queue'],
  },
  queueOldestEventTimestamp: {
    name: 'pinrelay_queue_oldest_event_timestamp_seconds',
    help: 'Time of the oldest event that waits in a queue; an hour after it Pinterest counts the event as offline.',
    labels: ['ad_account_id', 'queue'],
  },
  queueStopped: {
    name: 'pinrelay_queue_stopped',
    help: '1 for each queue that does not call, with its status and urgency as in GET /accounts (2 and 3: a person has to act). At most 1,000, the most urgent first.',
    labels: ['ad_account_id', 'queue', 'status', 'urgency'],
  },
  ready: { name: 'pinrelay_ready', help: '1 while posts are taken.' },
  storeAnswered: {
    name: 'pinrelay_store_answered_timestamp_seconds',
    help: 'When the store last answered; it is asked once a second. After 10 seconds without an answer posts are refused.',
  },
  replicas: {
    name: 'pinrelay_replicas',
    help: 'Relays that share the store and are alive; 0 while the store does not answer.',
  },
  sourceBadSignatures: {
    name: 'pinrelay_source_bad_signatures_total',
    help: 'Webhooks of a source that were refused for their signature.',
    labels: ['source'],
  },
  commitSeconds: {
    name: 'pinrelay_store_commit_duration_seconds',
    help: 'Transactions of the store, from the first operation to the synced end.',
    buckets: COMMIT_BUCKETS,
  },
  commitOperations: {
    name: 'pinrelay_store_commit_operations',
    help: 'Operations in one transaction of the store: commits, acknowledgements and others.',
    buckets: COUNT_BUCKETS,
  },
  diskFreeBytes: {
    name: 'pinrelay_store_disk_free_bytes',
    help: 'Free bytes of the disk that the store is on.',
  },
  storeFull: {
    name: 'pinrelay_store_full',
    help: '1 while posts are refused because the store is full.',
  },
  storeUsedBytes: {
    name: 'pinrelay_store_used_bytes',
    help: 'Bytes that the queue takes of the disk, its WAL included.',
  },
  tokenExpiryTimestamp: {
    name: 'pinrelay_token_expiry_timestamp_seconds',
    help: 'When the access token in use expires, of the 1,000 accounts whose token expires soonest.',
    labels: ['ad_account_id'],
  },
  tokenRefreshes: {
    name: 'pinrelay_token_refreshes_total',
    help: 'Refreshes of OAuth grants, by outcome: renewed, failed (it is tried again), refused (authorize again).',
    labels: ['outcome'],
  },
  totals: {
    name: 'pinrelay_totals_events',
    help: 'The totals since the store began, as in GET /totals.',
    labels: ['entry'],
  },
  volumeMark: {
    name: 'pinrelay_volume_mark',
    help: '1 for each account and event name with a sudden drop or surge against its own past. At most 1,000.',
    labels: ['ad_account_id', 'event_name', 'direction'],
  },
} as const satisfies Readonly<Record<string, Metric>>

type Table = typeof METRICS
type Key = keyof Table
type Label<M> = M extends { readonly labels: readonly (infer L extends string)[] } ? L : never
type Handle<M> = M extends { readonly name: `${string}_total` }
  ? Counter<Label<M>>
  : M extends { readonly buckets: unknown }
    ? Histogram<Label<M>>
    : Gauge<Label<M>>

export type OutcomeLabel = 'delivered' | 'rejected' | 'expired' | 'filtered' | 'duplicate' | 'invalid'

/** A number, or one for each set of labels. */
type Values<L extends string> =
  | number
  | readonly (readonly [labels: Readonly<Record<L, string>>, value: number])[]

export type Metrics = { readonly [K in Key]: Handle<Table[K]> } & {
  /** Read at each scrape; of a list, the first `MOST_SERIES`. */
  collect<K extends Key>(key: K, read: () => Values<Label<Table[K]>> | Promise<Values<Label<Table[K]>>>): void
  /** Of none, no series is made. */
  countEvents(adAccountId: string, outcome: OutcomeLabel, events: number): void
  /** Of all accounts: adding up their series would take a reading of thousands. */
  readonly eventCounts: ReadonlyMap<OutcomeLabel, number>
  readonly contentType: string
  render(): Promise<string>
}

/** Per metric. Callers put first what alerts use; the rest is cut. */
const MOST_SERIES = 1000

export function createMetrics({ version }: { readonly version: string }): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const readers = new Map<string, () => Values<string> | Promise<Values<string>>>()

  function create(key: string, { name, help, labels = [], buckets }: Metric) {
    const options = { name, help, labelNames: [...labels], registers: [registry] }
    if (buckets !== undefined) return new Histogram({ ...options, buckets: [...buckets] })
    const isCounter = typeOf({ name, buckets }) === 'counter'
    const metric = isCounter ? new Counter({ ...options, collect }) : new Gauge({ ...options, collect })
    async function collect(): Promise<void> {
      const read = readers.get(key)
      if (read === undefined) return
      const values = await Promise.resolve(read()).catch(() => [])
      metric.reset()
      if (labels.length === 0) metric.remove()
      if (typeof values === 'number') metric.inc(values)
      else for (const [own, value] of values.slice(0, MOST_SERIES)) metric.inc(own, value)
    }
    return metric
  }

  const handles = Object.fromEntries(
    Object.entries(METRICS).map(([key, metric]) => [key, create(key, metric)]),
  ) as unknown as { readonly [K in Key]: Handle<Table[K]> }
  const accounts = new Set<string>()
  const eventCounts = new Map<OutcomeLabel, number>()
  const metrics = {
    ...handles,
    collect: (key: string, read: () => Values<string> | Promise<Values<string>>) =>
      void readers.set(key, read),
    countEvents(adAccountId: string, outcome: OutcomeLabel, events: number) {
      if (events === 0) return
      eventCounts.set(outcome, (eventCounts.get(outcome) ?? 0) + events)
      if (accounts.size < MOST_SERIES) accounts.add(adAccountId)
      handles.accountEvents.inc(
        { ad_account_id: accounts.has(adAccountId) ? adAccountId : 'other', outcome },
        events,
      )
    },
    eventCounts,
    contentType: registry.contentType,
    render: () => registry.metrics(),
  }
  metrics.buildInfo.set({ version }, 1)
  // From 0 on: a rise is only seen after a first value.
  for (const reason of ['too_old', 'store_part_full']) metrics.deadLettersDeleted.inc({ reason }, 0)
  return metrics
}
