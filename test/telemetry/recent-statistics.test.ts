import t from 'tap'
import {
  createRecentStatistics,
  percentileOf,
  RANGES,
  type StatisticsArchive,
  type Waiting,
} from '../../src/telemetry/recent-statistics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createManualClock } from '../support/clock.ts'

const STEP_MS = RANGES['15m'].stepMs
const NOTHING = async (): Promise<Waiting> => ({ queued: 0, oldestAgeSeconds: undefined })
const NO_ARCHIVE: StatisticsArchive = { read: () => [], write: async () => {} }

t.test('each step has the counts of its own time', async (t) => {
  const clock = createManualClock()
  let waiting: () => Promise<Waiting> = async () => ({ queued: 3, oldestAgeSeconds: 12 })
  const metrics = createMetrics({ version: 'test' })
  const recentStatistics = createRecentStatistics({
    clock,
    metrics,
    waiting: () => waiting(),
    archive: NO_ARCHIVE,
  })
  metrics.posts.inc({ status: '200' })
  metrics.posts.inc({ status: '429' })
  metrics.postSeconds.observe(0.01)
  metrics.postSeconds.observe(0.001)
  metrics.countEvents('1', 'delivered', 4)
  metrics.countEvents('2', 'delivered', 1)
  metrics.countEvents('1', 'rejected', 1)
  metrics.countEvents('2', 'filtered', 2)
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
    queued: 3,
  })
  t.equal(first?.oldestAgeSeconds, 12)
  t.ok(first!.callP99Seconds! > 9 && first!.callP99Seconds! < 11)
  t.ok(first!.postP50Seconds! <= 0.001 && first!.postP99Seconds! > 0.009)
  t.match(second, { posts: 1, turnedAway: 1, delivered: 0, calls: 0 })
  t.equal(second?.callP99Seconds, undefined)
  t.equal(second?.queued, undefined, 'a store that is away leaves a gap')
  t.equal(recentStatistics.samples(first!.at).length, 1)
  await recentStatistics.close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('each range has steps of its own, as many as it takes', async (t) => {
  const clock = createManualClock()
  const metrics = createMetrics({ version: 'test' })
  const recentStatistics = createRecentStatistics({ clock, metrics, waiting: NOTHING, archive: NO_ARCHIVE })
  metrics.posts.inc({ status: '200' }, 7)
  await clock.advance(200 * STEP_MS)
  t.equal(recentStatistics.samples(0).length, 180)
  const hours = recentStatistics.samples(0, '6h')
  t.equal(hours.length, 8)
  t.equal(hours[0]!.posts, 7)
  t.same(recentStatistics.samples(0, '7d'), [])
  await recentStatistics.close()
  t.match(recentStatistics.samples(0, '7d'), [{ posts: 7 }], 'a step that is not over counts at the end')
})

t.test('a restart continues with what was archived; what is older than its range goes', async (t) => {
  const clock = createManualClock()
  const metrics = createMetrics({ version: 'test' })
  const written = new Map<string, string>()
  let writes = 0
  const archive: StatisticsArchive = {
    read: (range) => JSON.parse(written.get(range) ?? '[]'),
    async write(all) {
      writes += 1
      for (const { range, kept } of all) written.set(range, JSON.stringify(kept))
    },
  }
  const before = createRecentStatistics({ clock, metrics, waiting: NOTHING, archive })
  metrics.posts.inc({ status: '200' }, 5)
  await clock.advance(RANGES['6h'].stepMs)
  t.equal(written.size, 0)
  await clock.advance(900_000)
  t.strictSame([...written.keys()], ['15m', '6h', '7d'], 'written every quarter of an hour')
  t.equal(writes, 1, 'in one change')
  await before.close()
  const options = { clock, metrics: createMetrics({ version: 'test' }), waiting: NOTHING, archive }
  const soon = createRecentStatistics(options)
  t.equal(soon.samples(0).length, 180, 'also the last minutes')
  await soon.close()
  // Most of the six hours without a relay: a running one makes thousands of steps in them.
  await clock.advance(5 * 3_600_000)

  const after = createRecentStatistics({
    clock,
    metrics: createMetrics({ version: 'test' }),
    waiting: NOTHING,
    archive,
  })
  t.match(after.samples(0, '6h'), [{ posts: 5 }])
  t.same(after.samples(0), [])
  await clock.advance(3_600_000)
  t.ok(after.samples(0, '6h').every(({ posts }) => posts === 0))
  t.equal(after.samples(0, '7d')[0]!.posts, 5)
  written.clear()
  await after.close()
  const broken = { read: () => [], write: () => Promise.reject(new Error('full')) }
  const last = createRecentStatistics({ clock, metrics, waiting: NOTHING, archive: broken })
  await clock.advance(900_000)
  await last.close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('steps of a clock that was ahead are gone once it is set back', async (t) => {
  const clock = createManualClock()
  const metrics = createMetrics({ version: 'test' })
  const recentStatistics = createRecentStatistics({ clock, metrics, waiting: NOTHING, archive: NO_ARCHIVE })
  clock.setWall(clock.wallMs() + 3_600_000)
  await clock.advance(2 * STEP_MS)
  clock.setWall(clock.wallMs() - 3_600_000)
  await clock.advance(STEP_MS)
  t.match(recentStatistics.samples(0), [{ at: clock.wallMs() / 1000 }])
  await recentStatistics.close()
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
