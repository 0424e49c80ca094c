/** Of an account that is removed while events wait or sources name it: nothing of it piles up unseen. */
import t, { type Test } from 'tap'
import { createCommandLine } from '../cli/stage.ts'
import { readMetrics } from '../support/admin.ts'
import { createManualClock, until } from '../support/clock.ts'
import { ACCOUNT, setUp, type Stand } from '../support/relay.ts'
import { shopifyHeaders, shopifyOrder } from '../support/shop-payloads.ts'

const SECRET = 'shpss_test_secret_0123456789'

async function register(t: Test, stand: Stand) {
  const source = { kind: 'shopify', ad_account_id: ACCOUNT, secret: SECRET }
  t.match(await stand.admin('PUT', '/sources/shop', source), { status: 201 })
}

let lastId = 5_000_000
async function sendOrder(t: Test, { relay }: Stand, createdAt: Date) {
  const body = JSON.stringify(shopifyOrder(createdAt, { id: ++lastId }))
  const request = { method: 'POST', headers: shopifyHeaders(SECRET, body, 'orders/create'), body }
  t.equal((await fetch(`${relay.publicUrl}/sources/shop`, request)).status, 200)
}

t.test('an account is not removed in silence while something is for it', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  await register(t, stand)
  await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
  await sendOrder(t, stand, new Date())
  t.match(await relay(`account rm ${ACCOUNT}`), {
    code: 2,
    stderr: new RegExp(
      `^account ${ACCOUNT} leaves behind:\n  queued events: 1;.*\n  source shop: .*\n  key [0-9a-f-]{36} \\(test\\): .*\nadd --yes\\.$`,
    ),
  })
  t.match(await stand.admin('GET', `/accounts/${ACCOUNT}`), { status: 200 }, 'it is still there')
  t.match(await relay(`account rm ${ACCOUNT} --yes`), {
    code: 0,
    stdout: /^account \d+ is removed\n  queued events: 1;/,
  })
  t.match(await relay(`account rm ${ACCOUNT} --yes`), { code: 1, stderr: /There is no account/ })
})

t.test(
  'events that wait for an account that is not registered are shown everywhere, and sent once it is',
  async (t) => {
    const stand = await setUp(t)
    const relay = createCommandLine(stand)
    await register(t, stand)
    await stand.admin('DELETE', `/accounts/${ACCOUNT}`)
    await sendOrder(t, stand, new Date())
    await sendOrder(t, stand, new Date())

    const status = await relay('status')
    t.match(status, {
      code: 3,
      stdout: /^549755885175 +live +no_account +- +relay account set \d+ registers it/m,
    })
    t.match(status.stdout, /\naccounts: 0, paused: 0, in trouble: 1\n/)
    t.match(status.stdout, /^source shop: its account 549755885175 is not registered: /m)
    t.match((await relay('source list')).stdout, /its account 549755885175 is not registered/)
    const queue = { ad_account_id: ACCOUNT, status: 'no_account', urgency: 3, action: 'token' }
    t.match((await stand.admin('GET', '/live')).body, {
      accounts_blocked: 1,
      blocked: [{ ad_account_id: ACCOUNT, status: 'no_account', label: '', expires_at: String }],
      queues: [{ ...queue, queued: 2 }],
    })
    t.match(
      await readMetrics(stand.admin),
      `pinrelay_queue_stopped{ad_account_id="${ACCOUNT}",queue="live",status="no_account",urgency="3"} 1`,
    )

    await stand.admin('PUT', `/accounts/${ACCOUNT}`, { access_token: 'pina_seven_0123456789' })
    await until(async () => (await stand.admin('GET', '/totals')).body['delivered'] === 2)
    t.match(await relay('status'), { code: 0, stdout: /every queue sends/ })
    await stand.admin('DELETE', `/accounts/${ACCOUNT}`)
    t.notMatch(await readMetrics(stand.admin), 'queue_stopped{', 'nothing waits')
  },
)

t.test('they grow too old as others do, and their queue is gone then', async (t) => {
  const clock = createManualClock()
  const stand = await setUp(t, { MAX_EVENT_AGE_HOURS: '1' }, {}, { clock })
  await register(t, stand)
  await stand.admin('DELETE', `/accounts/${ACCOUNT}`)
  await sendOrder(t, stand, new Date(clock.wallMs()))
  const statuses = async () =>
    ((await stand.admin('GET', '/live')).body['queues'] as { status: string }[]).map(({ status }) => status)
  t.same(await statuses(), ['no_account'])
  await clock.advance(3_600_000)
  await until(async () => {
    await clock.advance(60_000)
    return (await statuses()).length === 0
  })
  t.match(await stand.admin('GET', '/totals'), { body: { received: 1, expired: 1, queued: 0 } })
})
