import t from 'tap'
import { CONTENDERS, type ContenderName } from '../../bench/contenders.ts'
import { median, toMedian, type Round } from '../../bench/measure.ts'
import { FULL, nameScenario, SHORT, USUAL, type Scenario } from '../../bench/scenarios.ts'
import { slopeOf } from '../../bench/soak.ts'
import { renderResult, renderTargets } from '../../bench/table.ts'
import { judge, type Result } from '../../bench/targets.ts'

const BASE: Scenario = { kind: 'hashed', eventsPerPost: 1, connections: 100, latencyMs: 0, accounts: 1 }

function round(change: Partial<Round> = {}): Round {
  return {
    postsPerSecond: 1000,
    eventsPerSecond: 1000,
    p50Ms: 1,
    p99Ms: 2,
    cpuUsPerEvent: 100,
    sandboxUsPerPost: 10,
    generatorUsPerPost: 10,
    callsPerPost: 1,
    peakMebibytes: 100,
    loopDelayMs: 1,
    refused: {},
    ...change,
  }
}

function result(
  scenario: Partial<Scenario>,
  changes: Partial<Record<ContenderName, Partial<Round>>>,
): Result {
  const medians = Object.fromEntries(CONTENDERS.map((name) => [name, toMedian([round(changes[name])])]))
  return { scenario: { ...BASE, ...scenario }, medians }
}

const ASIDE = { floorEventsPerSecond: 100_000, preparedEventsPerSecond: 60_000, idleMebibytes: 120 }

t.test('targets are ratios within the run, and on the edge they are met', async (t) => {
  const queues = { 'graphile-worker': { eventsPerSecond: 5000 }, 'pg-boss': { eventsPerSecond: 4000 } }
  const results = [
    result({}, { proxy: { postsPerSecond: 3000 }, relay: { postsPerSecond: 4500, peakMebibytes: 181 } }),
    result({ accounts: 100 }, { proxy: { postsPerSecond: 1000 }, relay: { postsPerSecond: 899 } }),
    result({ connections: 1 }, { proxy: { p50Ms: 1 }, relay: { p50Ms: 1.701 } }),
    result({ eventsPerPost: 10 }, { ...queues, 'relay on PostgreSQL': { eventsPerSecond: 7500 } }),
    result(
      { eventsPerPost: 100 },
      {
        ...queues,
        'relay, async': { eventsPerSecond: 9999, loopDelayMs: 15.1 },
        'relay on PostgreSQL': { eventsPerSecond: 5000 },
      },
    ),
    result({ eventsPerPost: 1000 }, { ...queues, 'relay, async': { eventsPerSecond: 10_000 } }),
    result({ eventsPerPost: 1000, kind: 'raw' }, { relay: { eventsPerSecond: 40_000, peakMebibytes: 300 } }),
  ]
  const targets = judge(results, ASIDE)
  t.same(
    targets.map(({ measured, isMet }) => [Math.round(measured * 1000) / 1000, isMet]),
    [
      [1.5, true],
      [0.899, false],
      [2, false],
      [2, true],
      [1.5, true],
      [1, false],
      [0.4, true],
      [0.6, true],
      [120, true],
      [0.701, false],
      [15.1, false],
      [181, false],
      [300, true],
    ],
  )
  t.match(renderTargets(targets), '| 1 event: posts/s, to the proxy | at least 1.5 x | 1.50 | met |')
  t.same(judge([], ASIDE), [], 'a load that was not run says nothing')
})

t.test('every target can be judged after each of the three runs', async (t) => {
  for (const scenarios of [SHORT, USUAL, FULL]) {
    const results = scenarios.map((scenario) => result(scenario, {}))
    t.equal(judge(results, ASIDE).length, 13)
    t.equal(new Set(scenarios.map(nameScenario)).size, scenarios.length)
    const without = results.map(({ scenario, medians }) => {
      const { 'graphile-worker': _, 'pg-boss': __, ...others } = medians
      return { scenario, medians: others }
    })
    t.equal(judge(without, ASIDE).length, 9, 'rivals that are not installed say nothing')
  }
})

t.test('a median is the middle one, and what was refused is added up', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 3, 2]), 2.5)
  const rounds = [
    round({ postsPerSecond: 5, peakMebibytes: 1, refused: { 422: 1 } }),
    round({ postsPerSecond: 7, peakMebibytes: 9, refused: { 422: 2, 503: 1 } }),
    round({ postsPerSecond: 6, peakMebibytes: 2 }),
  ]
  t.match(toMedian(rounds), {
    postsPerSecond: 6,
    lowestPostsPerSecond: 5,
    highestPostsPerSecond: 7,
    peakMebibytes: 9,
    refused: { 422: 3, 503: 1 },
  })
})

t.test('the table marks posts that were refused', async (t) => {
  const table = renderResult(result({ kind: 'raw' }, { proxy: { refused: { 422: 12 } } }))
  t.match(table, '### 1 event per post, 100 connections, raw data')
  t.match(table, '| proxy (refused: 12 x 422) | 100 | 1,000 (1,000 to 1,000) | 1.00 |')
})

t.test('growth is the slope of the line that fits best', async (t) => {
  t.equal(slopeOf([1, 3, 5, 7]), 2)
  t.equal(slopeOf([5, 5, 5]), 0)
  t.equal(slopeOf([4]), 0)
  t.equal(slopeOf([3, 1, 2]), -0.5)
})
