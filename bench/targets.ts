/** What the relay aims at, as ratios within one run, and whether it got there. Pure. */
import type { ContenderName } from './contenders.ts'
import type { Median } from './measure.ts'
import type { Scenario } from './scenarios.ts'

export interface Result {
  readonly scenario: Scenario
  readonly medians: Readonly<Record<ContenderName, Median>>
}

export interface Target {
  readonly name: string
  /** Such as `at least 2 x`; the unit is that of `measured`. */
  readonly wanted: string
  readonly measured: number
  readonly isMet: boolean
}

/** `floorEventsPerSecond`: what JSON.parse, the hashes and JSON.stringify alone would reach. Scenarios may be missing. */
export function judge(results: readonly Result[], floorEventsPerSecond: number): Target[] {
  const targets: Target[] = []
  const atLeast = (name: string, measured: number, wanted: number) =>
    targets.push({ name, wanted: `at least ${wanted} x`, measured, isMet: measured >= wanted })
  const atMost = (name: string, measured: number, wanted: number, unit: string) =>
    targets.push({ name, wanted: `at most ${wanted} ${unit}`, measured, isMet: measured <= wanted })

  const single = find(results, { eventsPerPost: 1, connections: 100, latencyMs: 0, accounts: 1 })
  if (single !== undefined) {
    const { ceiling, proxy, relay, 'relay, async': async } = single.medians
    atLeast('single events: waiting, to the proxy', relay.postsPerSecond / proxy.postsPerSecond, 2)
    atLeast('single events: waiting, to the ceiling', relay.postsPerSecond / ceiling.postsPerSecond, 0.75)
    atLeast('single events: async, to the ceiling', async.postsPerSecond / ceiling.postsPerSecond, 0.85)
  }

  const large = results.filter(({ scenario }) => scenario.eventsPerPost === 1000)
  // The floor hashes; so must they.
  const largeRaw = large.filter(({ scenario }) => scenario.kind === 'raw')
  if (largeRaw.length > 0) {
    const best = Math.max(...largeRaw.map(({ medians }) => medians.relay.eventsPerSecond))
    atLeast('1,000 events per post: events, to the floor', best / floorEventsPerSecond, 0.7)
  }

  const slow = find(results, { eventsPerPost: 1, connections: 100, latencyMs: 100, accounts: 1 })
  if (slow !== undefined) {
    const { proxy, relay } = slow.medians
    atMost('100 ms latency: calls, to those of the proxy', relay.callsPerPost / proxy.callsPerPost, 0.33, 'x')
  }

  const alone = find(results, { eventsPerPost: 1, connections: 1, latencyMs: 0, accounts: 1 })
  if (alone !== undefined) {
    const { proxy, relay } = alone.medians
    atMost('one post at a time: median over the proxy', relay.p50Ms - proxy.p50Ms, 1, 'ms')
  }

  const delayIn = (some: readonly Result[]) =>
    Math.max(
      ...some.flatMap(({ medians }) => [medians.relay.loopDelayMs, medians['relay, async'].loopDelayMs]),
    )
  const others = results.filter((result) => !large.includes(result))
  if (others.length > 0) atMost('loop delay p99, the worst', delayIn(others), 15, 'ms')
  if (large.length > 0) atMost('loop delay p99, 1,000 events per post', delayIn(large), 40, 'ms')

  const peakIn = (some: readonly Result[]) =>
    Math.max(...some.map(({ medians }) => medians.relay.peakMebibytes))
  if (others.length > 0) atMost('peak memory', peakIn(others), 200, 'MiB')
  if (large.length > 0) atMost('peak memory, 1,000 events per post', peakIn(large), 200, 'MiB')
  return targets
}

function find(results: readonly Result[], wanted: Omit<Scenario, 'kind'>): Result | undefined {
  return results.find(
    ({ scenario }) =>
      scenario.kind === 'hashed' &&
      scenario.eventsPerPost === wanted.eventsPerPost &&
      scenario.connections === wanted.connections &&
      scenario.latencyMs === wanted.latencyMs &&
      scenario.accounts === wanted.accounts,
  )
}
