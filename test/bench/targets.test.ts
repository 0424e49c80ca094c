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
    cpuUsPerPost: 100,
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
  return { scenario: { ...BASE, ...scenario }, medians: medians as Result['medians'] }
}

t.test('targets are ratios within the run, and on the edge they are met', async (t) => {
  const results = [
    result(
      {},
      { ceiling: { postsPerSecond: 8000 }, proxy: { postsPerSecond: 3000 }, relay: { postsPerSecond: 6000 } },
    ),
    result({ connections: 1 }, { relay: { p50Ms: 2.001 } }),
    result({ latencyMs: 100 }, { relay: { callsPerPost: 0.33 }, 'relay, async': { loopDelayMs: 15.1 } }),
    result({ eventsPerPost: 1000 }, { relay: { eventsPerSecond: 90_000, loopDelayMs: 40 } }),
    result({ eventsPerPost: 1000, kind: 'raw' }, { relay: { eventsPerSecond: 70_000, peakMebibytes: 201 } }),
  ]
  const targets = judge(results, 100_000)
  t.same(
    targets.map(({ measured, isMet }) => [Math.round(measured * 1000) / 1000, isMet]),
    [
      [2, true],
      [0.75, true],
      [0.125, false],
      // Not the 90,000 of the posts that need no hash.
      [0.7, true],
      [0.33, true],
      [1.001, false],
      [15.1, false],
      [40, true],
      [100, true],
      [201, false],
    ],
  )
  t.match(renderTargets(targets), '| single events: waiting, to the proxy | at least 2 x | 2.00 | met |')
  t.same(judge([], 1), [], 'a load that was not run says nothing')
})

t.test('every target can be judged after each of the three runs', async (t) => {
  for (const scenarios of [SHORT, USUAL, FULL]) {
    const targets = judge(
      scenarios.map((scenario) => result(scenario, {})),
      1,
    )
    t.equal(targets.length, 10)
    t.equal(new Set(scenarios.map(nameScenario)).size, scenarios.length)
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

t.test('the table tells loudly of posts that were refused', async (t) => {
  const table = renderResult(result({ kind: 'raw' }, { proxy: { refused: { 422: 12 } } }))
  t.match(table, '### 1 event per post, 100 connections, raw data')
  t.match(table, '| proxy (refused: 12 x 422) | 1,000 (1,000 to 1,000) | 1.00 |')
})

t.test('growth is the slope of the line that fits best', async (t) => {
  t.equal(slopeOf([1, 3, 5, 7]), 2)
  t.equal(slopeOf([5, 5, 5]), 0)
  t.equal(slopeOf([4]), 0)
  t.equal(slopeOf([3, 1, 2]), -0.5)
})
