/**
 * The relay's counters for Prometheus. Labels have few values: statuses, outcomes, reasons, and at most a bounded number of ad
 * accounts; never anything of a customer.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** What a post goes through, one after the other. */
export type Stage = 'prepare' | 'commit' | 'outcome'

export interface Metrics {
  postAnswered(status: number, seconds: number): void
  /** One stage of one post that came that far. */
  stage(stage: Stage, seconds: number): void
  refused(reason: string): void
  died(reason: string, count: number): void
  deadLettersDeleted(reason: 'too_old' | 'store_part_full', count: number): void
  /** One transaction of the store. */
  committed(seconds: number, operations: number): void
  events(outcome: 'delivered' | 'rejected' | 'expired' | 'invalid' | 'duplicate', count: number): void
  warned(code: string): void
  call(outcome: string, seconds: number, events: number): void
  /** A queue had events, and nothing asked it. */
  queueStalled(): void
  /** How long one call waited for the call limiter, 0 included. */
  callLimiterWaited(seconds: number): void
  /** Somebody asked the admin port without its token, or logged in with another one. */
  adminRefused(): void
  tokenRefreshed(outcome: 'renewed' | 'failed' | 'refused'): void
  /** One value per ad account, as it is when somebody looks; those that are left out are not there. */
  accountGauge(name: string, help: string, read: () => ReadonlyMap<string, number>): void
  /** One value per set of labels, as they are when somebody looks; those that are left out are not there. */
  labelledGauge(gauge: LabelledGauge): void
  /** Values that are read when somebody looks. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void
  counter(name: string, help: string, read: () => number): void
  readonly contentType: string
  render(): Promise<string>
  /** The relay's own metrics, for docs/metrics.md. */
  describe(): readonly MetricDescription[]
}

export interface MetricDescription {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

export interface LabelledGauge {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  read(): Promise<readonly LabelledValue[]> | readonly LabelledValue[]
}

export interface LabelledValue {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Of a post and its stages: a millisecond to the longest wait. */
const POST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export function createMetrics(options: { readonly version: string }): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const posts = new Counter({
    name: 'pinrelay_posts_total',
    help: 'Posts answered on the public port, by HTTP status.',
    labelNames: ['status'],
    registers,
  })
  const events = new Counter({
    name: 'pinrelay_events_total',
    help: 'Events by outcome since this process began; GET /totals counts since the store began.',
    labelNames: ['outcome'],
    registers,
  })
  const warnings = new Counter({
    name: 'pinrelay_event_warnings_total',
    help: 'Warnings on events, by code.',
    labelNames: ['code'],
    registers,
  })
  const calls = new Counter({
    name: 'pinrelay_calls_total',
    help: 'Calls to Pinterest, by outcome: an HTTP status, or why there was none.',
    labelNames: ['outcome'],
    registers,
  })
  const callSeconds = new Histogram({
    name: 'pinrelay_call_duration_seconds',
    help: 'How long calls to Pinterest took.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const callEvents = new Histogram({
    name: 'pinrelay_call_events',
    help: 'Events in one call.',
    buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000],
    registers,
  })
  const callLimiterSeconds = new Histogram({
    name: 'pinrelay_call_limiter_wait_seconds',
    help: 'How long calls to Pinterest waited for the limit of their account.',
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60],
    registers,
  })
  const stalledQueues = new Counter({
    name: 'pinrelay_queues_stalled_total',
    help: 'Queues that had events while nothing would have asked for a call: found and asked once a minute. Stays 0, or the relay has a fault.',
    registers,
  })
  const adminRefusals = new Counter({
    name: 'pinrelay_admin_refused_total',
    help: 'Requests and logins on the admin port without its token or a session.',
    registers,
  })
  const refreshes = new Counter({
    name: 'pinrelay_token_refreshes_total',
    help: 'Refreshes of OAuth grants, by outcome: renewed, failed (it is tried again), refused (authorize again).',
    labelNames: ['outcome'],
    registers,
  })
  const postSeconds = new Histogram({
    name: 'pinrelay_post_duration_seconds',
    help: 'From the first byte of a post to its answer, posts that were refused included.',
    buckets: POST_BUCKETS,
    registers,
  })
  const stageSeconds = new Histogram({
    name: 'pinrelay_post_stage_duration_seconds',
    help: 'Stages of a post: prepare (its turn, parsing, spelling, hashing), commit, outcome (the wait for Pinterest).',
    labelNames: ['stage'],
    buckets: POST_BUCKETS,
    registers,
  })
  const refusals = new Counter({
    name: 'pinrelay_events_invalid_total',
    help: 'Events that the relay refused itself, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const deadLetters = new Counter({
    name: 'pinrelay_dead_letters_total',
    help: 'Events that became dead letters, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const deadLettersDeleted = new Counter({
    name: 'pinrelay_dead_letters_deleted_total',
    help: 'Dead letters that the relay deleted, by reason: too_old (DEAD_LETTER_DAYS), store_part_full.',
    labelNames: ['reason'],
    registers,
  })
  // From 0 on: a rise is only seen after a first value.
  for (const reason of ['too_old', 'store_part_full']) deadLettersDeleted.inc({ reason }, 0)
  const commitSeconds = new Histogram({
    name: 'pinrelay_store_commit_duration_seconds',
    help: 'Transactions of the store, from the first operation to the synced end.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers,
  })
  const commitOperations = new Histogram({
    name: 'pinrelay_store_commit_operations',
    help: 'Operations in one transaction of the store: commits, acknowledgements and others.',
    buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000],
    registers,
  })
  new Gauge({
    name: 'pinrelay_build_info',
    help: 'Always 1; the version is the label.',
    labelNames: ['version'],
    registers,
  }).set({ version: options.version }, 1)

  function labelledGauge(gauge: LabelledGauge): void {
    const { name, help, labels: labelNames } = gauge
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers,
      async collect() {
        const values = await gauge.read()
        this.reset()
        for (const { labels, value } of values) this.set(labels, value)
      },
    })
  }

  const postsOf = keepChildren((status: number) => posts.labels({ status: String(status) }))
  const stageOf = {
    prepare: stageChild('prepare'),
    commit: stageChild('commit'),
    outcome: stageChild('outcome'),
  }
  function stageChild(stage: Stage) {
    return stageSeconds.labels({ stage })
  }
  const eventsOf = keepChildren((outcome: string) => events.labels({ outcome }))

  return {
    postAnswered(status, seconds) {
      postsOf(status).inc()
      postSeconds.observe(seconds)
    },
    stage: (stage, seconds) => stageOf[stage].observe(seconds),
    refused: (reason) => refusals.inc({ reason }),
    died: (reason, count) => deadLetters.inc({ reason }, count),
    deadLettersDeleted: (reason, count) => deadLettersDeleted.inc({ reason }, count),
    committed(seconds, operations) {
      commitSeconds.observe(seconds)
      commitOperations.observe(operations)
    },
    events: (outcome, count) => {
      if (count > 0) eventsOf(outcome).inc(count)
    },
    warned: (code) => warnings.inc({ code }),
    call(outcome, seconds, eventCount) {
      calls.inc({ outcome })
      callSeconds.observe(seconds)
      callEvents.observe(eventCount)
    },
    queueStalled: () => stalledQueues.inc(),
    callLimiterWaited: (seconds) => callLimiterSeconds.observe(seconds),
    adminRefused: () => adminRefusals.inc(),
    tokenRefreshed: (outcome) => refreshes.inc({ outcome }),
    accountGauge(name, help, read) {
      labelledGauge({
        name,
        help,
        labels: ['ad_account_id'],
        read: () => [...read()].map(([ad_account_id, value]) => ({ labels: { ad_account_id }, value })),
      })
    },
    labelledGauge,
    gauge(name, help, read) {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await read())
        },
      })
    },
    counter(name, help, read) {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(read())
        },
      })
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
    describe: () =>
      registry
        .getMetricsAsArray()
        .filter(({ name }) => name.startsWith('pinrelay_'))
        .map((metric) => {
          const { labelNames } = metric as unknown as { readonly labelNames: readonly string[] }
          return { name: metric.name, type: String(metric.type), labels: labelNames, help: metric.help }
        }),
  }
}

/** A counter's child is found by sorting and joining its labels: done once for each of the few values, not per post. */
function keepChildren<Label>(make: (label: Label) => Counter.Internal): (label: Label) => Counter.Internal {
  const children = new Map<Label, Counter.Internal>()
  return (label) => {
    let child = children.get(label)
    if (child === undefined) children.set(label, (child = make(label)))
    return child
  }
}
