/** What users and operators see of several relays on one PostgreSQL: as if they were one. */
import t from 'tap'
import { readSettings } from '../../src/settings.ts'
import { readMetrics } from '../support/admin.ts'
import { rawEvent } from '../support/events.ts'
import { shopifyHeaders, shopifyOrder } from '../support/shop-payloads.ts'
import { startPostgres } from '../support/postgres.ts'
import { ACCOUNT } from '../support/relay.ts'
import { until } from '../support/clock.ts'
import { setUpReplicas, type Replica } from './stage.ts'

const server = await startPostgres()
t.teardown(() => server.close())
/** Of the design: what one replica is told, the others act on; ten times as long on a machine that is busy with other tests. */
const NEWS_MS = 10 * 2000
const NEW_TOKEN = 'pina_another_0123456789'
/** Of most tests: two relays with the default limits. */
const stage = await setUpReplicas(t, server)

async function queueOf({ admin }: Replica): Promise<string> {
  const { body } = await admin('GET', `/accounts/${ACCOUNT}`)
  const [queue] = body['queues'] as { status: string }[]
  return queue?.status ?? 'none'
}

t.test(
  'an event is taken once, whichever relay it is posted to; totals and dead letters are the same',
  async (t) => {
    const { replicas, sandbox } = stage
    const [one, two] = replicas as [Replica, Replica]
    const event = rawEvent()
    const answers = await Promise.all([one.post({ data: [event] }), two.post({ data: [event] })])
    t.ok(answers.every(({ status }) => status === 200))
    const isAcknowledged = async () => (await two.admin('GET', '/totals')).body['queued'] === 0
    await until(isAcknowledged)
    t.match(await two.post({ data: [event] }), {
      status: 200,
      body: { events: [{ warning_message: 'duplicate' }] },
    })
    sandbox.faults.set([{ kind: 'failEvents', message: 'no good' }])
    const invalid = await one.post({ data: [rawEvent()] }, { headers: { prefer: 'wait=30' } })
    t.equal(invalid.status, 422)
    await until(isAcknowledged)
    const totals = (await two.admin('GET', '/totals')).body
    t.same(totals, {
      received: 4,
      delivered: 1,
      rejected: 1,
      expired: 0,
      filtered: 0,
      queued: 0,
      duplicate: 2,
      invalid: 0,
    })
    t.same((await one.admin('GET', '/totals')).body, totals)
    const backup = await one.admin('POST', '/backup', { folder: '/nowhere/backup' })
    t.match(backup, { status: 409, body: { message: /with its own tools/ } })
    t.match((await two.admin('GET', '/dead-letters')).body, { dead_letters: [{ reason: 'rejected_event' }] })
    t.equal(sandbox.conversions.summary(ACCOUNT).recorded, 1)
    t.match(await readMetrics(one.admin), /^pinrelay_replicas 2$/m)
  },
)

t.test(
  'a source that was registered at one relay takes webhooks at the other; an order is sent once',
  async (t) => {
    const { replicas, sandbox } = stage
    const [one, two] = replicas as [Replica, Replica]
    sandbox.faults.set([])
    const secret = 'secret-of-a-shop-0123'
    await one.admin('PUT', '/sources/shop', { kind: 'shopify', ad_account_id: ACCOUNT, secret })
    const body = JSON.stringify(shopifyOrder(new Date()))
    const send = async ({ relay }: Replica) => {
      const headers = shopifyHeaders(secret, body)
      return (await fetch(`${relay.publicUrl}/sources/shop`, { method: 'POST', headers, body })).status
    }
    await until(async () => (await send(two)) === 200)
    t.equal(await send(one), 200)
    t.match((await one.admin('GET', '/sources/shop')).body, { webhooks: [{ outcome: 'duplicate' }] })
    await until(async () => (await two.admin('GET', '/totals')).body['queued'] === 0)
    await two.admin('DELETE', '/sources/shop')
    await until(async () => (await send(one)) === 404)
  },
)

t.test('a pause, a hold and a new token reach the other relay within two seconds', async (t) => {
  const { replicas, sandbox } = stage
  const [one, two] = replicas as [Replica, Replica]
  sandbox.faults.set([])
  const recordedBefore = sandbox.conversions.summary(ACCOUNT).recorded
  await two.post({ data: [rawEvent()] })
  await one.post({ data: [rawEvent()] })
  await one.admin('POST', `/accounts/${ACCOUNT}/pause`)
  const pausedMs = await until(async () => (await queueOf(two)) === 'paused')
  await two.admin('POST', `/accounts/${ACCOUNT}/resume`)
  await until(async () => (await queueOf(one)) === 'sending')

  sandbox.tokens.set([{ accessToken: NEW_TOKEN }])
  t.equal((await one.post({ data: [rawEvent()] }, ASYNC)).status, 202)
  await until(async () => (await queueOf(one)) === 'unauthorized')
  const heldMs = await until(async () => (await queueOf(two)) === 'unauthorized')
  t.comment(`pause ${Math.round(pausedMs)} ms, hold ${Math.round(heldMs)} ms`)
  t.ok(Math.max(pausedMs, heldMs) < NEWS_MS)
  const calls = () => sandbox.journal.calls({ adAccountId: ACCOUNT })
  const callsBefore = calls().length
  t.equal((await two.post({ data: [rawEvent()] }, ASYNC)).status, 202)
  await two.admin('POST', `/accounts/${ACCOUNT}/resume`)
  await until(() => calls().length > callsBefore)
  t.ok(
    calls()
      .slice(callsBefore)
      .every(({ isTest }) => isTest),
    'neither sends anything but canaries',
  )
  await two.admin('PUT', `/accounts/${ACCOUNT}`, { access_token: NEW_TOKEN })
  t.match((await one.admin('POST', `/accounts/${ACCOUNT}/verify`)).status, 200)
  await until(() => sandbox.conversions.summary(ACCOUNT).recorded === recordedBefore + 4)
  await until(async () => (await queueOf(one)) === 'sending')
  // Recorded is not yet acknowledged.
  await until(async () => (await one.admin('GET', '/totals')).body['queued'] === 0)
})

t.test('what one relay knows of an account goes when the other one deletes it', async (t) => {
  const { replicas } = stage
  const [one, two] = replicas as [Replica, Replica]
  const account = '26601000000001'
  const lastSuccess = async () => {
    const { body } = await one.admin('GET', `/accounts/${account}`)
    return (body['token'] as { last_success_at: string | null }).last_success_at
  }
  await two.admin('PUT', `/accounts/${account}`, { access_token: NEW_TOKEN })
  await until(async () => (await one.admin('POST', `/accounts/${account}/verify`)).status === 200)
  t.type(await lastSuccess(), 'string')
  await two.admin('DELETE', `/accounts/${account}`)
  await until(async () => (await one.admin('GET', `/accounts/${account}`)).status === 404)
  await two.admin('PUT', `/accounts/${account}`, { access_token: NEW_TOKEN })
  await until(async () => (await one.admin('GET', `/accounts/${account}`)).status === 200)
  t.equal(await lastSuccess(), null)
})

t.test('both limits are of both relays together', async (t) => {
  const limits = { CALLS_PER_MINUTE: '60', CALL_BURST: '10', POSTS_PER_MINUTE: '40', CALLS_IN_FLIGHT: '8' }
  const { replicas, sandbox } = await setUpReplicas(t, server, { ...limits, ANSWER_WAIT_MS: '0' })
  const [one, two] = replicas as [Replica, Replica]
  // What the first posts of the stage took has come back.
  const startedMs = performance.now()
  const statuses = await Promise.all(
    Array.from({ length: 120 }, (_, n) => (n % 2 === 0 ? one : two).post({ data: [rawEvent()] })),
  )
  const taken = statuses.filter(({ status }) => status === 200).length
  const invalid = statuses.filter(({ status }) => status === 429)
  const passedS = (performance.now() - startedMs) / 1000
  t.equal(taken + invalid.length, 120)
  t.ok(taken <= 40 + (40 * passedS) / 60 + 1, `${taken} posts passed`)
  t.ok(taken >= 36, `${taken} posts passed`)
  t.match(invalid[0]!.headers.get('retry-after'), /^\d+$/)
  t.equal(invalid[0]!.headers.get('ratelimit-limit'), '40')
  await until(async () => (await one.admin('GET', '/totals')).body['queued'] === 0)
  const calls = sandbox.stats()[ACCOUNT]!.maxCallsInWindow
  const allS = (performance.now() - startedMs) / 1000
  t.ok(calls <= 10 + (50 * (allS + 5)) / 60 + 1, `${calls} calls in ${allS.toFixed(1)} s`)
})

t.test(
  'without its database a relay takes nothing and loses nothing, and comes back by itself',
  async (t) => {
    const { replicas, sandbox } = stage
    const [one, two] = replicas as [Replica, Replica]
    const before = { ...sandbox.conversions.summary(ACCOUNT), calls: sandbox.stats()[ACCOUNT]!.calls }
    const totalsBefore = (await two.admin('GET', '/totals')).body
    sandbox.faults.set([{ kind: 'latency', delayMs: 400 }])
    const underWay = one.post({ data: [rawEvent()] }, { headers: { prefer: 'wait=10' } })
    await until(() => sandbox.stats()[ACCOUNT]!.calls > before.calls)
    one.proxy.cut()
    t.equal((await underWay).status, 200, 'Pinterest has it, and its outcome is written later')
    const invalid = await one.post({ data: [rawEvent()] })
    t.equal(invalid.status, 503)
    t.match(invalid.headers.get('retry-after'), /^\d+$/)
    await until(async () => (await fetch(`${one.relay.publicUrl}/readyz`)).status === 503)
    t.equal((await two.post({ data: [rawEvent()] })).status, 200, 'the other one goes on')
    one.proxy.mend()
    await until(async () => (await one.post({ data: [rawEvent()] })).status === 200)
    await until(async () => (await two.admin('GET', '/totals')).body['queued'] === 0)
    const { recorded, distinct } = sandbox.conversions.summary(ACCOUNT)
    t.equal(recorded, distinct)
    const delivered = distinct - before.distinct
    t.match((await two.admin('GET', '/totals')).body, {
      delivered: Number(totalsBefore['delivered']) + delivered,
      received: Number(totalsBefore['received']) + delivered,
    })
    t.notMatch(one.logLines.join(''), /postgres:\/\/|password/)
  },
)

t.test('the plots of a replica outlive its restart', async (t) => {
  const before = await stage.start()
  t.equal((await before.post({ data: [rawEvent()] })).status, 200)
  await before.relay.close()
  const after = await stage.start()
  const { samples } = (await after.admin('GET', '/live')).body as { samples: { posts: number }[] }
  t.ok(samples.some(({ posts }) => posts > 0))
})

t.test('PostgreSQL asks for the secrets that replicas share', async (t) => {
  t.throws(() => readSettings({ DATABASE_URL: 'postgres://user:secret@host/db' }), {
    message: /MASTER_KEY must be set[\s\S]*ADMIN_TOKEN must be set/,
  })
})

const ASYNC = { headers: { prefer: 'respond-async' } }
