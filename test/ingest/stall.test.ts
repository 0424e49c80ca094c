/** The engine's thread hangs, as on a disk whose sync does not return: nobody waits for it for ever, and nothing is lost. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createAfter, systemClock, type Clock } from '../../src/clock.ts'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

/** While the store hangs: the rest may take as long as it takes on a slow machine. */
const SPEED = 5
let speed = 1
let changedMs = performance.now()
let untilThenMs = changedMs
const monotonicMs = () => untilThenMs + (performance.now() - changedMs) * speed

function setSpeed(to: number): void {
  untilThenMs = monotonicMs()
  changedMs = performance.now()
  speed = to
}

const fastClock: Clock = {
  ...systemClock,
  monotonicMs,
  after: createAfter(monotonicMs, (delayMs, callback) => {
    const timer = setTimeout(callback, Math.ceil(delayMs / SPEED)).unref()
    return () => clearTimeout(timer)
  }),
}

t.test(
  'a store that hangs turns readiness off, and posts get 503; when it answers all continues',
  async (t) => {
    const file = join(t.testdir(), 'hang')
    const startThread = () => new Worker(new URL('./blocking-thread.ts', import.meta.url))
    process.env['HANG_WHILE'] = file
    const stand = await setUp(t, {}, {}, { clock: fastClock, startThread })
    t.teardown(() => rmSync(file, { force: true }))
    const { relay, sandbox, logLines, admin } = stand
    const ready = async () => (await fetch(`${relay.publicUrl}/readyz`)).json()
    const post = (id: string) => stand.post({ data: [rawEvent({ event_id: id })] })
    t.equal((await post('before')).status, 200)

    writeFileSync(file, '')
    await until(async () => existsSync(`${file}ing`))
    setSpeed(SPEED)
    const waiting = await post('during')
    t.equal(waiting.status, 503, 'answered without the store')
    t.ok(waiting.headers.get('retry-after'))
    t.same(await ready(), { status: 'store_stalled' })
    t.equal((await fetch(`${relay.publicUrl}/livez`)).status, 200, 'a restart would not help')
    t.equal((await post('after')).status, 503)
    t.ok(logLines.some((line) => line.includes('"reason":"store_stalled"')))
    const text = await (
      await fetch(`${relay.adminUrl}/metrics`, { headers: { authorization: `Bearer ${relay.adminToken}` } })
    ).text()
    t.match(text, /^pinrelay_ready 0$/m, 'a scrape does not wait for it either')
    const answeredS = Number(/^pinrelay_store_answered_timestamp_seconds (\S+)$/m.exec(text)?.[1])
    t.ok(answeredS > 0 && answeredS <= fastClock.wallMs() / 1000 - 10 / SPEED + 0.1)
    t.match((await admin('GET', '/live')).body, { problem: 'store_stalled' })

    setSpeed(1)
    rmSync(file)
    await until(async () => ((await ready()) as { status: string }).status === 'ready')
    t.ok(logLines.some((line) => line.includes('posts are taken again')))
    await until(async () => sandbox.conversions.counts(ACCOUNT).has('during'))
    const again = await post('during')
    t.match(again, { status: 200, body: { events: [{ warning_message: /duplicate/ }] } })
    t.equal(sandbox.conversions.counts(ACCOUNT).get('during'), 1)
    t.equal((await post('after')).status, 200)
  },
)
