import t from 'tap'
import {
  createRecentStatistics,
  percentileOf,
  STEP_MS,
  type Waiting,
} from '../../src/telemetry/recent-statistics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createManualClock } from '../support/clock.ts'

t.test('each step has the counts of its own time', async (t) => {
  const clock = createManualClock()
  let waiting: () => Promise<Waiting> = async () => ({ queued: 3, oldestAgeS: 12 })
  const metrics = createMetrics({ version: 'test' })
  const recentStatistics = createRecentStatistics({ clock, metrics, waiting: () => waiting() })
  metrics.posts.inc({ status: '200' })
  metrics.posts.inc({ status: '429' })
  metrics.postSeconds.observe(0.01)
  metrics.postSeconds.observe(0.001)
  metrics.events.inc({ outcome: 'delivered' }, 5)
  metrics.events.inc({ outcome: 'rejected' })
  metrics.events.inc({ outcome: 'filtered' }, 2)
  metrics.calls.inc({ outcome: '200' })
  metrics.calls.inc({ outcome: 'timeout' })
  metrics.callSeconds.observe(0.1)
  metrics.callSeconds.observe(10)
  await clock.advance(STEP_MS)
  waiting = () => Promise.reject(new Error('away'))
  metrics.posts.inc({ status: '503' })
  metrics.postSeconds.observe(0.001)
  await clock.advance(STEP_MS)
  const [first, second] = recentStatistics.samples(0)
  t.match(first, {
    posts: 2,
    turnedAway: 1,
    delivered: 5,
    rejected: 1,
    filtered: 2,
    calls: 2,
    callsFailed: 1,
    queued: 3,
  })
  t.equal(first?.oldestAgeS, 12)
  t.ok(first!.callP99S! > 9 && first!.callP99S! < 11)
  t.ok(first!.postP50S! <= 0.001 && first!.postP99S! > 0.009)
  t.match(second, { posts: 1, turnedAway: 1, delivered: 0, calls: 0 })
  t.equal(second?.callP99S, undefined)
  t.equal(second?.queued, undefined, 'a store that is away leaves a gap')
  t.equal(recentStatistics.samples(first!.atS).length, 1)
  recentStatistics.close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('half an hour is kept', async (t) => {
  const clock = createManualClock()
  const recentStatistics = createRecentStatistics({
    clock,
    metrics: createMetrics({ version: 'test' }),
    waiting: async () => ({ queued: 0, oldestAgeS: undefined }),
  })
  await clock.advance(400 * STEP_MS)
  t.equal(recentStatistics.samples(0).length, 360)
  recentStatistics.close()
})

t.test('a percentile is interpolated within its bucket', async (t) => {
  const buckets = [
    [1, 0],
    [2, 80],
    [4, 100],
    [Infinity, 100],
  ] as const
  t.equal(percentileOf(buckets, 0.4), 1.5)
  t.equal(percentileOf(buckets, 0.9), 3)
  t.equal(percentileOf(buckets, 1), 4)
  t.equal(percentileOf([...buckets.slice(0, 3), [Infinity, 200]], 0.99), 4, 'no guess beyond the last bound')
  t.equal(percentileOf([[1, 0]], 0.5), undefined)
  t.equal(percentileOf([], 0.5), undefined)
})
