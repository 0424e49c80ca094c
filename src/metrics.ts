/**
 * The relay's counters for Prometheus. Labels have few values: statuses, verdicts, reasons, and at most a bounded number of ad
 * accounts; never anything of a customer.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export interface Metrics {
  postAnswered(status: number): void
  events(verdict: 'delivered' | 'rejected' | 'expired' | 'refused' | 'duplicate', count: number): void
  warned(code: string): void
  call(outcome: string, seconds: number, events: number): void
  tokenRefreshed(outcome: 'renewed' | 'failed' | 'refused'): void
  /** One value per ad account, as it is when somebody looks; those that are left out are not there. */
  accountGauge(name: string, help: string, read: () => ReadonlyMap<string, number>): void
  /** Values that are read when somebody looks. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void
  readonly contentType: string
  render(): Promise<string>
}

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
    help: 'Events by verdict since this process began; GET /books counts since the store began.',
    labelNames: ['verdict'],
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
  const refreshes = new Counter({
    name: 'pinrelay_token_refreshes_total',
    help: 'Refreshes of OAuth grants, by outcome: renewed, failed (it is tried again), refused (authorize again).',
    labelNames: ['outcome'],
    registers,
  })
  new Gauge({
    name: 'pinrelay_build_info',
    help: 'Always 1; the version is the label.',
    labelNames: ['version'],
    registers,
  }).set({ version: options.version }, 1)

  const postsOf = keepChildren((status: number) => posts.labels({ status: String(status) }))
  const eventsOf = keepChildren((verdict: string) => events.labels({ verdict }))

  return {
    postAnswered: (status) => postsOf(status).inc(),
    events: (verdict, count) => {
      if (count > 0) eventsOf(verdict).inc(count)
    },
    warned: (code) => warnings.inc({ code }),
    call(outcome, seconds, eventCount) {
      calls.inc({ outcome })
      callSeconds.observe(seconds)
      callEvents.observe(eventCount)
    },
    tokenRefreshed: (outcome) => refreshes.inc({ outcome }),
    accountGauge(name, help, read) {
      new Gauge({
        name,
        help,
        labelNames: ['ad_account_id'],
        registers,
        collect() {
          this.reset()
          for (const [ad_account_id, value] of read()) this.set({ ad_account_id }, value)
        },
      })
    },
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
    contentType: registry.contentType,
    render: () => registry.metrics(),
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
