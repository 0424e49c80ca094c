/** A store that a released version wrote opens with this one, and all that it holds goes on. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { makeFolder } from '../support/at-exit.ts'
import { until } from '../support/clock.ts'
import { ACCOUNT, setUp, TOKEN } from '../support/relay.ts'
import { clockFrom, eventNamed, FILES, MASTER_KEY, WRITTEN_AT_MS } from './facts.ts'

const releases = readdirSync(import.meta.dirname).filter((name) => /^\d/.test(name))
t.ok(releases.includes('0.1.0'))

for (const release of releases) {
  t.test(`what ${release} wrote`, async (t) => {
    const written = join(import.meta.dirname, release)
    const folder = makeFolder(t)
    for (const file of FILES)
      writeFileSync(join(folder, file), gunzipSync(readFileSync(join(written, `${file}.gz`))))
    const clock = clockFrom(WRITTEN_AT_MS + 3_600_000)
    const { admin, post, sandbox } = await setUp(
      t,
      { MASTER_KEY, DATABASE_URL: `sqlite:${join(folder, 'relay.db')}` },
      { now: clock.wallMs },
      { clock },
    )
    const key = readFileSync(join(written, 'relay-key'), 'utf8')
    const totals = async () => (await admin('GET', `/totals?ad_account_id=${ACCOUNT}`)).body

    t.match(await totals(), { received: 3, delivered: 1, rejected: 1, queued: 1 })
    t.match((await admin('GET', `/accounts/${ACCOUNT}`)).body, {
      paused: true,
      token: { last4: TOKEN.slice(-4) },
    })
    t.match((await admin('GET', '/sources/web-shop')).body, { kind: 'shopify', ad_account_id: ACCOUNT })
    t.match((await admin('GET', '/events?order_id=4711')).body, {
      events: [{ event_id: 'delivered', outcome: 'delivered' }],
    })

    t.equal((await post({ data: [eventNamed('delivered', '4711')] }, { key })).status, 200, 'the key opens')
    t.match(await totals(), { duplicate: 1 }, 'and the event is known')
    t.equal(sandbox.conversions.summary(ACCOUNT).recorded, 0)

    t.equal((await admin('POST', `/accounts/${ACCOUNT}/resume`)).status, 200)
    t.match((await admin('POST', '/dead-letters/replay', { filter: {} })).body, { replayed: 1 })
    await until(async () => (await totals())['queued'] === 0)
    t.same(Object.fromEntries(sandbox.conversions.counts(ACCOUNT)), { waiting: 1, rejected: 1 })
    t.match(await totals(), { received: 4, delivered: 3, rejected: 0, duplicate: 1 })
  })
}
