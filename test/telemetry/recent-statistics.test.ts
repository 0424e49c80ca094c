import t from 'tap'
import { createDurations } from '../../src/telemetry/percentiles.ts'
import { createRecentStatistics, STEP_MS, type Waiting } from '../../src/telemetry/recent-statistics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createManualClock } from '../support/clock.ts'

t.test('each step has its own counts, and the metrics get all of them too', async (t) => {
  const clock = createManualClock()
  let waiting: () => Promise<Waiting> = async () => ({ queued: 3, oldestAgeS: 12 })
  const recentStatistics = createRecentStatistics({ clock, waiting: () => waiting() })
  const metrics = recentStatistics.listenTo(createMetrics({ version: 'test' }))
  metrics.postAnswered(200, 0.01)
  metrics.postAnswered(429, 0.001)
  metrics.events('delivered', 5)
  metrics.events('rejected', 1)
  metrics.call('200', 0.1, 5)
  metrics.call('timeout', 10, 5)
  await clock.advance(STEP_MS)
  waiting = () => Promise.reject(new Error('away'))
  metrics.postAnswered(503, 0.001)
  await clock.advance(STEP_MS)
  const [first, second] = recentStatistics.samples(0)
  t.match(first, { posts: 2, turnedAway: 1, delivered: 5, rejected: 1, calls: 2, callsFailed: 1, queued: 3 })
  t.equal(first?.oldestAgeS, 12)
  t.ok(first!.callP99S! > 9 && first!.callP99S! < 11)
  t.match(second, { posts: 1, turnedAway: 1, delivered: 0, calls: 0 })
  t.equal(second?.callP99S, undefined)
  t.equal(second?.queued, undefined, 'a store that is away leaves a gap')
  t.equal(recentStatistics.samples(first!.atS).length, 1)
  const text = await metrics.render()
  t.match(text, 'pinrelay_posts_total{status="200"} 1')
  t.match(text, 'pinrelay_events_total{outcome="delivered"} 5')
  t.match(text, 'pinrelay_calls_total{outcome="timeout"} 1')
  recentStatistics.close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('half an hour is kept', async (t) => {
  const clock = createManualClock()
  const recentStatistics = createRecentStatistics({
    clock,
    waiting: async () => ({ queued: 0, oldestAgeS: undefined }),
  })
  await clock.advance(400 * STEP_MS)
  t.equal(recentStatistics.samples(0).length, 360)
  recentStatistics.close()
})

t.test('percentiles are right within a tenth', async (t) => {
  const durations = createDurations()
  t.equal(durations.percentile(0.5), undefined)
  for (let ms = 1; ms <= 1000; ms++) durations.note(ms / 1000)
  for (const share of [0.01, 0.5, 0.9, 0.99]) {
    const percentile = durations.percentile(share)!
    t.ok(Math.abs(percentile / share - 1) < 0.1, `${share}: ${percentile}`)
  }
  durations.note(1e9)
  durations.note(0)
  t.ok(durations.percentile(1)! > 60)
  durations.clear()
  t.equal(durations.percentile(0.5), undefined)
})
