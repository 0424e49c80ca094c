/** What the relay aims at, as ratios within one run, and whether it got there. Pure. */
import type { ContenderName } from './contenders.ts'
import type { Median } from './measure.ts'
import { BASE, nameScenario, type Scenario } from './scenarios.ts'

export interface Result {
  readonly scenario: Scenario
  /** Of those that took part. */
  readonly medians: Readonly<Partial<Record<ContenderName, Median>>>
}

export interface Target {
  readonly name: string
  /** Such as `at least 2 x`; the unit is that of `measured`. */
  readonly wanted: string
  readonly measured: number
  readonly isMet: boolean
}

export interface Aside {
  /** What JSON.parse, the hashes and JSON.stringify alone would reach, on one core. */
  readonly floorEventsPerSecond: number
  /** What the pure stages of the relay reach, on one core. */
  readonly preparedEventsPerSecond: number
  /** Of a relay that nobody has posted to. */
  readonly idleMebibytes: number
}

/** Scenarios and rivals may be missing: what they say is missing then. */
export function judge(results: readonly Result[], aside: Aside): Target[] {
  const targets: Target[] = []
  const atLeast = (name: string, measured: number | undefined, wanted: number) => {
    if (measured === undefined) return
    targets.push({ name, wanted: `at least ${wanted} x`, measured, isMet: measured >= wanted })
  }
  const atMost = (name: string, measured: number, wanted: number, unit: string) =>
    targets.push({ name, wanted: `at most ${wanted} ${unit}`, measured, isMet: measured <= wanted })
  const load = (wanted: Partial<Scenario>) => find(results, { ...BASE, ...wanted })?.medians

  const single = load({})
  atLeast('1 event: posts/s, to the proxy', ratio(single, 'postsPerSecond', 'relay', ['proxy']), 1.5)
  const many = load({ accounts: 100 })
  atLeast(
    '1 event, 100 accounts: posts/s, to the proxy',
    ratio(many, 'postsPerSecond', 'relay', ['proxy']),
    0.9,
  )
  for (const eventsPerPost of [100, 1000]) {
    const share = ratio(load({ eventsPerPost }), 'eventsPerSecond', 'relay, async', QUEUES)
    atLeast(`${eventsPerPost} events: events/s, to the better queue`, share, 2)
  }
  for (const eventsPerPost of [10, 100]) {
    const share = ratio(load({ eventsPerPost }), 'eventsPerSecond', 'relay on PostgreSQL', QUEUES)
    atLeast(`PostgreSQL, ${eventsPerPost} events: events/s, to the better queue`, share, 1.5)
  }
  // The floor hashes; so must they.
  const largeRaw = load({ eventsPerPost: 1000, kind: 'raw' })?.relay
  if (largeRaw !== undefined) {
    const { floorEventsPerSecond, preparedEventsPerSecond, idleMebibytes } = aside
    atLeast('1,000 events: events/s, to the floor', largeRaw.eventsPerSecond / floorEventsPerSecond, 0.4)
    atLeast('preparing alone, to the floor', preparedEventsPerSecond / floorEventsPerSecond, 0.6)
    atMost('memory, idle', idleMebibytes, 120, 'MiB')
  }

  const alone = load({ connections: 1 })
  if (alone?.relay !== undefined && alone.proxy !== undefined) {
    atMost('one post at a time: median over the proxy', alone.relay.p50Ms - alone.proxy.p50Ms, 0.7, 'ms')
  }
  const relays = results.flatMap(({ medians }) => [medians.relay!, medians['relay, async']!])
  if (relays.length > 0) {
    const worstMs = Math.max(...relays.map(({ loopDelayMs }) => loopDelayMs))
    atMost('loop delay p99 of the front, the worst', worstMs, 15, 'ms')
  }
  const peak = (wanted: (scenario: Scenario) => boolean) =>
    Math.max(
      ...results
        .filter(({ scenario }) => wanted(scenario))
        .map(({ medians }) => medians.relay!.peakMebibytes),
    )
  if (single !== undefined) {
    atMost(
      'memory, peak with 1 event per post',
      peak(({ eventsPerPost }) => eventsPerPost === 1),
      180,
      'MiB',
    )
  }
  if (largeRaw !== undefined) {
    atMost(
      'memory, peak with 1,000',
      peak(({ eventsPerPost }) => eventsPerPost === 1000),
      300,
      'MiB',
    )
  }
  return targets
}

const QUEUES = ['graphile-worker', 'pg-boss'] as const

/** To the best of the others that took part. */
function ratio(
  medians: Result['medians'] | undefined,
  figure: 'postsPerSecond' | 'eventsPerSecond',
  own: ContenderName,
  others: readonly ContenderName[],
): number | undefined {
  const rates = others.flatMap((name) => medians?.[name]?.[figure] ?? [])
  const rate = medians?.[own]?.[figure]
  return rate === undefined || rates.length === 0 ? undefined : rate / Math.max(...rates)
}

function find(results: readonly Result[], wanted: Scenario): Result | undefined {
  return results.find(({ scenario }) => nameScenario(scenario) === nameScenario(wanted))
}
