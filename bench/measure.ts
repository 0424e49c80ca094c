/** One round: one contender under one load, and its costs. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender, Sandbox, Stage } from './contenders.ts'
import { shoot } from './load.ts'
import { createPosts } from './posts.ts'
import type { Scenario } from './scenarios.ts'

/** A backlog takes as long as the machine needs; an error is that nothing more of it arrives. */
const STALLED_MS = 30_000

export interface Round {
  /** Of the contender with all its threads and of its database. */
  readonly cpuUsPerEvent: number
  readonly postsPerSecond: number
  /** That arrived at Pinterest, until the last one of the round has. */
  readonly eventsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly sandboxUsPerPost: number
  readonly generatorUsPerPost: number
  readonly callsPerPost: number
  readonly peakMebibytes: number
  readonly loopDelayMs: number
  /** Posts with another answer than 2xx, by status. */
  readonly refused: Readonly<Record<string, number>>
}

export async function measureRound(
  stage: Omit<Stage, keyof AsyncDisposable>,
  { child, headers, isQueue }: Contender,
  scenario: Scenario,
  seconds: number,
): Promise<Round> {
  const { sandbox } = stage
  const adAccountIds = stage.adAccountIds.slice(0, scenario.accounts)
  const posts = createPosts(scenario.kind, scenario.eventsPerPost)
  await sandbox.forgetEvents()
  const callsBefore = await sandbox.countCalls()
  child.forgetPeak()
  child.forgetLoopDelay()
  const workSeconds = () => child.cpuSeconds() + stage.databaseSeconds()
  const workBefore = workSeconds()
  const sandboxBefore = sandbox.child.cpuSeconds()
  const ownBefore = process.cpuUsage()

  const startedMs = performance.now()
  const result = await shoot({
    port: child.port,
    connections: scenario.connections,
    seconds,
    posts,
    adAccountIds,
    headers,
  })
  const own = process.cpuUsage(ownBefore)
  const events = countTaken(result.statuses) * scenario.eventsPerPost
  // What a queue has answered it still owes: its cost belongs to this round, and every event must arrive.
  if (isQueue) await awaitEvents(sandbox, adAccountIds, events)
  const tookS = (performance.now() - startedMs) / 1000
  return {
    cpuUsPerEvent: (1e6 * (workSeconds() - workBefore)) / (result.posts * scenario.eventsPerPost),
    postsPerSecond: result.posts / result.seconds,
    eventsPerSecond: events / tookS,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    sandboxUsPerPost: (1e6 * (sandbox.child.cpuSeconds() - sandboxBefore)) / result.posts,
    generatorUsPerPost: (own.user + own.system) / result.posts,
    callsPerPost: ((await sandbox.countCalls()) - callsBefore) / result.posts,
    peakMebibytes: child.peakMebibytes(),
    loopDelayMs: await child.loopDelayMs(),
    refused: Object.fromEntries(
      Object.entries(result.statuses).filter(([status]) => !status.startsWith('2')),
    ),
  }
}

async function awaitEvents(
  sandbox: Sandbox,
  adAccountIds: readonly string[],
  expected: number,
): Promise<void> {
  let arrived = await sandbox.countEvents(adAccountIds)
  let progressMs = performance.now()
  while (arrived < expected && performance.now() - progressMs < STALLED_MS) {
    await sleep(100)
    const before = arrived
    arrived = await sandbox.countEvents(adAccountIds)
    if (arrived > before) progressMs = performance.now()
  }
  if (arrived !== expected) throw new Error(`${expected} events were taken, and ${arrived} arrived.`)
}

/** Posts that were answered 2xx: a post that was refused is sent by nobody. */
function countTaken(statuses: Readonly<Record<string, number>>): number {
  return Object.entries(statuses).reduce(
    (sum, [status, count]) => sum + (status.startsWith('2') ? count : 0),
    0,
  )
}

export interface Median extends Omit<Round, 'refused'> {
  readonly lowestPostsPerSecond: number
  readonly highestPostsPerSecond: number
  /** Of all rounds. */
  readonly refused: Readonly<Record<string, number>>
}

export function toMedian(rounds: readonly Round[]): Median {
  const of = (field: keyof Omit<Round, 'refused'>) => median(rounds.map((round) => round[field]))
  const refused: Record<string, number> = {}
  for (const round of rounds) {
    for (const [status, count] of Object.entries(round.refused))
      refused[status] = (refused[status] ?? 0) + count
  }
  const rates = rounds.map(({ postsPerSecond }) => postsPerSecond)
  return {
    cpuUsPerEvent: of('cpuUsPerEvent'),
    postsPerSecond: of('postsPerSecond'),
    lowestPostsPerSecond: Math.min(...rates),
    highestPostsPerSecond: Math.max(...rates),
    eventsPerSecond: of('eventsPerSecond'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    sandboxUsPerPost: of('sandboxUsPerPost'),
    generatorUsPerPost: of('generatorUsPerPost'),
    callsPerPost: of('callsPerPost'),
    // Not the median: what it once took, it took.
    peakMebibytes: Math.max(...rounds.map(({ peakMebibytes }) => peakMebibytes)),
    loopDelayMs: of('loopDelayMs'),
    refused,
  }
}

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2
}
