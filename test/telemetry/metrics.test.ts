import t from 'tap'
import { readSource } from '../support/source.ts'
import { createMetrics, METRICS, typeOf } from '../../src/telemetry/metrics.ts'

t.test('values are collected at each scrape, and what is gone has no series', async (t) => {
  const metrics = createMetrics({ version: 'test' })
  let accounts = ['1', '2']
  metrics.collect('accountOverShare', () => accounts.map((ad_account_id) => [{ ad_account_id }, 1]))
  metrics.collect('eventsQueued', async () => accounts.length)
  metrics.collect('logLinesDropped', () => 7)
  const first = await metrics.render()
  t.match(first, /^pinrelay_account_over_share\{ad_account_id="1"\} 1$/m)
  t.match(first, /^pinrelay_events_queued 2$/m)
  accounts = ['2']
  const second = await metrics.render()
  t.notMatch(second, 'ad_account_id="1"')
  t.match(second, /^pinrelay_account_over_share\{ad_account_id="2"\} 1$/m)
  t.match(second, /^pinrelay_events_queued 1$/m)
  t.match(second, /^pinrelay_log_lines_dropped_total 7$/m, 'absolute, not added to the first scrape')
})

t.test('of a list only the first 1,000 become series', async (t) => {
  const metrics = createMetrics({ version: 'test' })
  metrics.collect('accountOverShare', () =>
    Array.from({ length: 1500 }, (_, id) => [{ ad_account_id: `${id}` }, 1]),
  )
  const text = await metrics.render()
  t.equal(text.match(/^pinrelay_account_over_share\{/gm)?.length, 1000)
  t.match(text, 'ad_account_id="999"')
})

t.test('each metric has a name of its own, and the type that its name says', async (t) => {
  const text = await createMetrics({ version: 'test' }).render()
  const all = Object.values(METRICS)
  t.equal(new Set(all.map(({ name }) => name)).size, all.length)
  for (const metric of all) t.match(text, `# TYPE ${metric.name} ${typeOf(metric)}\n`)
})

t.test('each metric is counted or collected', async (t) => {
  const source = readSource()
  for (const key of Object.keys(METRICS)) {
    const use = new RegExp(`(metrics|handles)\\s*\\.${key}\\b|\\.collect\\('${key}'`)
    t.ok(use.test(source), `${key}: nothing counts or collects it`)
  }
})
