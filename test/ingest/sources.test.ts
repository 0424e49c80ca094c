/** Webhooks of shops, from their signed bytes to what Pinterest gets. */
import t, { type Test } from 'tap'
import { createCommandLine } from '../cli/stage.ts'
import { readMetrics } from '../support/admin.ts'
import { until } from '../support/clock.ts'
import { enter, setUp, type Guest } from '../support/relay.ts'
import { shopifyHeaders, shopifyOrder, sign, wooHeaders, wooOrder } from '../support/shop-payloads.ts'

const SECRET = 'shpss_test_secret_0123456789'

async function register(t: Test, guest: Guest, id: string, settings: object) {
  const answer = await guest.admin('PUT', `/sources/${id}`, {
    ad_account_id: guest.account,
    secret: SECRET,
    ...settings,
  })
  t.match(answer, { status: 201, body: { id, path: `/sources/${id}` } })
  t.teardown(() => guest.admin('DELETE', `/sources/${id}`))
}

async function send({ relay }: Guest, id: string, body: string, headers: Record<string, string>) {
  const response = await fetch(`${relay.publicUrl}/sources/${id}`, { method: 'POST', headers, body })
  return { status: response.status, body: await response.text() }
}

/** With ids of their own: the relay is shared. */
let lastId = 9_000_000
const order = (overrides: Record<string, unknown> = {}) =>
  JSON.stringify(shopifyOrder(new Date(), { id: ++lastId, ...overrides }))

const sendShopify = (guest: Guest, id: string, body = order(), topic = 'orders/create', secret = SECRET) =>
  send(guest, id, body, shopifyHeaders(secret, body, topic))

interface Webhooks {
  readonly webhooks: readonly Record<string, unknown>[]
}
const webhooksOf = async ({ admin }: Guest, id: string) =>
  ((await admin('GET', `/sources/${id}`)).body as unknown as Webhooks).webhooks

const sentOf = ({ sandbox, account }: Guest) =>
  sandbox.journal
    .calls()
    .flatMap((call) =>
      call.adAccountId === account
        ? (call.events as { event_id: string; user_data: object; event_name: string }[])
        : [],
    )

t.test('a signed order is on its way when it is answered, hashed, once', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'shop-1', { kind: 'shopify' })
  const body = order({ id: 77_001 })
  t.equal((await sendShopify(guest, 'shop-1', body)).status, 200)
  await until(async () => (await webhooksOf(guest, 'shop-1'))[0]?.['outcome'] === 'delivered')
  t.match(sentOf(guest), [
    { event_name: 'checkout', event_id: '77001', user_data: { em: [/^[0-9a-f]{64}$/] } },
  ])
  t.match((await guest.admin('GET', '/events?event_id=77001&source=shop-1')).body, {
    events: [{ outcome: 'delivered', source: 'shop-1', key_id: null, order_id: /./ }],
  })
  // The other topic, and the same delivery again.
  t.equal((await sendShopify(guest, 'shop-1', body, 'orders/paid')).status, 200)
  t.equal((await sendShopify(guest, 'shop-1', body)).status, 200)
  t.equal(sentOf(guest).length, 1)
  const named = { delivery_id: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043', events: 1 }
  t.match(await webhooksOf(guest, 'shop-1'), [
    { outcome: 'duplicate', topic: 'orders/create', ...named },
    { outcome: 'duplicate', topic: 'orders/paid', ...named },
    { outcome: 'delivered', topic: 'orders/create', ...named, reason: null },
  ])
})

t.test(
  'a wrong signature gets 401, an unknown source 404, and both are read and checked alike',
  async (t) => {
    const guest = await enter(t)
    await register(t, guest, 'shop-2', { kind: 'shopify' })
    t.match(await sendShopify(guest, 'shop-2', order(), 'orders/create', 'wrong'), {
      status: 401,
      body: /code/,
    })
    t.match(await sendShopify(guest, 'none', order(), 'orders/create', 'wrong'), { status: 404 })
    t.match(await sendShopify(guest, '__proto__'), { status: 404 })
    t.match(await send(guest, 'shop-2', order(), {}), { status: 401 })
    t.match(await send(guest, 'shop-2', '', {}), { status: 401 })
    t.equal(sentOf(guest).length, 0)
    const refused = { outcome: 'refused', reason: 'wrong_signature', topic: null, delivery_id: null }
    t.match(await webhooksOf(guest, 'shop-2'), [refused, refused, refused])
    t.match(await readMetrics(guest.admin), 'pinrelay_source_bad_signatures_total{source="shop-2"} 3')
  },
)

t.test('what anybody may send does not push out what the shop sent', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'shop-9', { kind: 'shopify' })
  await sendShopify(guest, 'shop-9', order(), 'products/update')
  for (let n = 0; n < 30; n++) await send(guest, 'shop-9', '{}', {})
  const webhooks = await webhooksOf(guest, 'shop-9')
  t.match([webhooks.length <= 20, webhooks.at(-1)], [true, { topic: 'products/update' }])
  for (let n = 0; n < 15; n++) await sendShopify(guest, 'shop-9', order(), 'products/create')
  const topics = (await webhooksOf(guest, 'shop-9')).map(({ topic }) => topic)
  t.same(topics.slice(0, 15), Array<string>(15).fill('products/create'))
  t.equal(topics.length, 20)
})

t.test('a secret is rotated: the one before it is valid until it is dropped', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'shop-3', { kind: 'shopify' })
  const status = async (secret: string) =>
    (await sendShopify(guest, 'shop-3', order(), 'orders/create', secret)).status
  const next = 'the-next-secret-0123'
  t.match(await guest.admin('PUT', '/sources/shop-3', { secret: next }), {
    status: 200,
    body: { previous_secret: true },
  })
  t.same([await status(SECRET), await status(next)], [200, 200])
  t.match(await guest.admin('PUT', '/sources/shop-3', { drop_previous_secret: true }), {
    body: { previous_secret: false },
  })
  t.same([await status(SECRET), await status(next)], [401, 200])
  t.notMatch(JSON.stringify(await guest.admin('GET', '/sources')), next)
})

t.test('what is not to be sent is taken, recorded, and counted as filtered', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'shop-4', { kind: 'shopify', consent: { require: 'buyer_accepts_marketing' } })
  t.equal((await sendShopify(guest, 'shop-4', order(), 'products/update')).status, 200)
  t.equal((await sendShopify(guest, 'shop-4', order({ buyer_accepts_marketing: false }))).status, 200)
  t.equal((await sendShopify(guest, 'shop-4', order({ cancelled_at: '2026-11-27T00:00:00Z' }))).status, 200)
  t.match(await webhooksOf(guest, 'shop-4'), [
    { outcome: 'filtered', reason: 'cancelled' },
    { outcome: 'filtered', reason: 'no_consent' },
    { outcome: 'filtered', reason: 'not_mapped', topic: 'products/update' },
  ])
  const totals = (await guest.admin('GET', `/totals?ad_account_id=${guest.account}`)).body
  t.match(totals, { received: 3, filtered: 3, invalid: 0 })
  const found = await guest.admin('GET', `/events?ad_account_id=${guest.account}&source=shop-4`)
  const isFiltered = { outcome: 'filtered', source: 'shop-4', key_id: null, test: false }
  const ofOrder = { event_name: 'checkout', order_id: '4711', event_time: String }
  t.match(found.body['events'], [
    { ...isFiltered, ...ofOrder, reason: 'cancelled', event_id: String(lastId) },
    { ...isFiltered, ...ofOrder, reason: 'no_consent', event_id: String(lastId - 1) },
    {
      ...isFiltered,
      reason: 'not_mapped',
      event_name: null,
      event_id: null,
      order_id: null,
      event_time: null,
    },
  ])
})

t.test('what cannot be read is taken all the same, and counted as invalid', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'shop-5', { kind: 'shopify' })
  t.equal((await sendShopify(guest, 'shop-5', '{"email": "secret@')).status, 200)
  const nobody = { email: null, contact_email: null, customer: null, client_details: null, browser_ip: null }
  t.equal((await sendShopify(guest, 'shop-5', order(nobody))).status, 200)
  t.match(await webhooksOf(guest, 'shop-5'), [
    { outcome: 'invalid', reason: /^user_data: / },
    { outcome: 'invalid', reason: 'the body is no JSON object in UTF-8' },
  ])
  const found = await guest.admin('GET', `/events?ad_account_id=${guest.account}&outcome=invalid`)
  t.match(found.body['events'], [
    { source: 'shop-5', reason: 'no_identifier', event_id: String(lastId), order_id: '4711' },
    { source: 'shop-5', reason: 'not_json', event_name: null, event_id: null, order_id: null },
  ])
  const values = JSON.stringify({ line_items: Array.from({ length: 60 }, () => Array(2000).fill(1)) })
  for (const [body, reason] of [
    [`{"x":${'['.repeat(40)}${']'.repeat(40)}}`, 'x[0]: must not be nested deeper than 32 levels.'],
    [values, 'The body must hold at most 100000 values.'],
  ] as const) {
    t.equal((await sendShopify(guest, 'shop-5', body)).status, 200)
    t.match((await webhooksOf(guest, 'shop-5'))[0], { outcome: 'invalid', reason })
  }
  const tooLarge = `{"x":"${'x'.repeat(9 * 1024 * 1024)}"}`
  t.equal((await sendShopify(guest, 'shop-5', tooLarge).catch(() => ({ status: 413 }))).status, 413)
  t.match((await webhooksOf(guest, 'shop-5'))[0], {
    outcome: 'refused',
    reason: 'too_large',
  })
})

t.test("a shop's test order is a test event; a test source sends nothing else", async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'shop-6', { kind: 'shopify' })
  await sendShopify(guest, 'shop-6', order({ test: true }))
  await guest.admin('PUT', '/sources/shop-6', { test: true })
  await sendShopify(guest, 'shop-6')
  await until(async () => (await webhooksOf(guest, 'shop-6')).every(({ outcome }) => outcome === 'delivered'))
  const calls = guest.sandbox.journal.calls().filter(({ adAccountId }) => adAccountId === guest.account)
  t.ok(calls.length > 0 && calls.every(({ isTest }) => isTest))
})

t.test('WooCommerce: the ping gets exactly 200, and so does what is not paid', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'woo', { kind: 'woocommerce' })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  t.match(await send(guest, 'woo', 'webhook_id=4', form), { status: 200 })
  t.match(await send(guest, 'woo', 'webhook_id=4&x=1', form), { status: 401 })
  t.match(await send(guest, 'woo', 'webhook_id=4', { ...form, 'x-wc-webhook-signature': 'x' }), {
    status: 401,
  })
  const body = JSON.stringify(wooOrder(new Date(), { id: ++lastId, status: 'pending' }))
  t.match(await send(guest, 'woo', body, wooHeaders(SECRET, body)), { status: 200 })
  const paid = body.replace('"pending"', '"processing"')
  t.match(await send(guest, 'woo', paid, wooHeaders(SECRET, paid, 'order.updated')), { status: 200 })
  await until(async () => sentOf(guest).length === 1)
  t.match(
    (await webhooksOf(guest, 'woo')).slice(1).map(({ outcome }) => outcome),
    ['filtered', 'refused', 'refused', 'ping'],
  )
})

t.test('the answer comes from the disk, not from Pinterest, and needs no account', async (t) => {
  const guest = await setUp(t)
  await register(t, guest, 'shop-7', { kind: 'shopify' })
  await guest.admin('POST', `/accounts/${guest.account}/pause`)
  t.equal((await sendShopify(guest, 'shop-7')).status, 200)
  t.match(await webhooksOf(guest, 'shop-7'), [{ outcome: 'queued' }])
  // Without its account the events wait.
  await guest.admin('DELETE', `/accounts/${guest.account}`)
  t.equal((await sendShopify(guest, 'shop-7')).status, 200)
  t.match((await guest.admin('GET', '/totals')).body, { received: 2, queued: 2 })
  await guest.restart()
  t.equal((await sendShopify(guest, 'shop-7')).status, 200, 'the source is kept')
})

t.test('wrong signatures use up the posts of nobody, webhooks those of their source', async (t) => {
  const guest = await enter(t)
  await guest.admin('PUT', `/accounts/${guest.account}`, { posts_per_minute: 2 })
  await register(t, guest, 'shop-8', { kind: 'shopify' })
  const statuses = []
  for (let n = 0; n < 4; n++) statuses.push((await send(guest, 'shop-8', '{}', {})).status)
  for (let n = 0; n < 3; n++) statuses.push((await sendShopify(guest, 'shop-8')).status)
  t.same(statuses, [401, 401, 401, 401, 200, 200, 429])
  t.equal((await guest.post({ data: [] })).status, 400, 'not 429')
})

const CUSTOM = {
  kind: 'custom',
  signature: { header: 'X-Signature', prefix: 'sha256=' },
  expression: `body.orders.{
    "event_name": "checkout", "event_id": id, "event_time": time, "action_source": "web",
    "user_data": {"em": mail, "external_id": $$.headers."x-shop"},
    "custom_data": {"value": total, "currency": "EUR"}
  }`,
}
const sendCustom = (guest: Guest, id: string, body: string, headers: Record<string, string> = {}) =>
  send(guest, id, body, {
    'x-signature': `sha256=${sign(SECRET, body, 'hex')}`,
    'x-shop': 'annex',
    ...headers,
  })

t.test('custom: an expression makes one event, several or none', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'custom-1', CUSTOM)
  const one = () => ({
    id: `c-${++lastId}`,
    time: Math.floor(Date.now() / 1000),
    mail: 'a@b.example',
    total: 9,
  })
  for (const orders of [[one(), one()], one(), []])
    t.equal((await sendCustom(guest, 'custom-1', JSON.stringify({ orders }))).status, 200)
  await until(async () => sentOf(guest).length === 3)
  t.match(sentOf(guest)[0], {
    event_name: 'checkout',
    user_data: { em: [/^[0-9a-f]{64}$/], external_id: [/^[0-9a-f]{64}$/] },
  })
  t.match((await webhooksOf(guest, 'custom-1'))[0], { outcome: 'filtered', reason: 'no_event' })
  t.equal((await sendCustom(guest, 'custom-1', '{}', { 'x-signature': 'sha256=00' })).status, 401)
})

t.test('custom: a form; consent; what the expression cannot read', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'custom-2', {
    ...CUSTOM,
    consent: { limit: 'agreed' },
    expression: `{"event_name": "lead", "event_id": body.id, "event_time": $toMillis($now()), "action_source": "web", "user_data": {"em": body.mail}}`,
  })
  const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
  await sendCustom(guest, 'custom-2', `id=f-${++lastId}&mail=a%40b.example&agreed=false`, form)
  await until(async () => sentOf(guest).length === 1)
  t.match(sentOf(guest), [{ event_name: 'lead', opt_out: true, custom_data: { opt_out_type: 'LDP' } }])
  const bare = { 'content-type': 'Application/X-WWW-Form-Urlencoded' }
  await sendCustom(guest, 'custom-2', `id=f-${++lastId}&mail=a%40b.example`, bare)
  await sendCustom(guest, 'custom-2', `\ufeff{"id": "f-${++lastId}", "mail": "a@b.example"}`)
  await until(async () => sentOf(guest).length === 3)
  await sendCustom(guest, 'custom-2', 'no json')
  t.match((await webhooksOf(guest, 'custom-2'))[0], {
    outcome: 'invalid',
    reason: 'the body is neither JSON nor a form',
  })
  await guest.admin('PUT', '/sources/custom-2', { expression: '$number(body.mail)' })
  await sendCustom(guest, 'custom-2', '{"mail": "canary@leak.example"}')
  t.match((await webhooksOf(guest, 'custom-2'))[0], {
    outcome: 'invalid',
    reason: /^the expression failed: JSONata error D3030/,
  })
  await guest.admin('PUT', '/sources/custom-2', { expression: '"text"', consent: { require: 'agreed' } })
  await sendCustom(guest, 'custom-2', '{}')
  await sendCustom(guest, 'custom-2', '{"agreed": true}')
  t.match(await webhooksOf(guest, 'custom-2'), [
    { reason: 'the expression makes something that is no event' },
    { outcome: 'filtered', reason: 'no_consent' },
  ])
})

t.test('a source says what is wrong with it', async (t) => {
  const guest = await enter(t)
  const problemsOf = async (id: string) => (await guest.admin('GET', `/sources/${id}`)).body['problems']
  await register(t, guest, 'wc-1', { kind: 'woocommerce' })
  t.same(await problemsOf('wc-1'), [])
  await register(t, guest, 'wc-2', { kind: 'woocommerce' })
  t.match(await problemsOf('wc-2'), [/as those of wc-1: .*Set event_id, such as "wc-2-\{id\}"/])
  await guest.admin('PUT', '/sources/wc-2', { event_id: 'wc-2-{id}' })
  t.same([await problemsOf('wc-1'), await problemsOf('wc-2')], [[], []])

  // 30 million numbers: stopped sooner than an endless one.
  await register(t, guest, 'hungry', { ...CUSTOM, expression: '[1..300].{"x": [1..100000]}' })
  t.equal((await sendCustom(guest, 'hungry', '{}')).status, 200)
  t.match(await problemsOf('hungry'), [/^the expression took too long or too much memory; /])
  await guest.admin('PUT', '/sources/hungry', { expression: 'null' })
  t.equal((await sendCustom(guest, 'hungry', '{}')).status, 200)
  t.same(await problemsOf('hungry'), [], 'the last webhook counts')
})

t.test('a source of whose webhooks no event can be made any more is no secret', async (t) => {
  const guest = await enter(t)
  const relay = createCommandLine(guest)
  const problemsOf = async () => (await guest.admin('GET', '/sources/renamed')).body['problems']
  const expression = `body.skip ? null : $exists(body.mail) ? {"event_name": "lead", "event_id": body.id, "event_time": $toMillis($now()), "action_source": "web", "user_data": {"em": body.mail}} : $error("x")`
  await register(t, guest, 'renamed', { ...CUSTOM, expression })
  const sendOne = async (body: object) => {
    t.equal(
      (await sendCustom(guest, 'renamed', JSON.stringify({ id: `r-${++lastId}`, ...body }))).status,
      200,
    )
  }
  await sendOne({ mail: 'a@b.example' })
  for (let lost = 0; lost < 2; lost++) {
    await sendOne({ e_mail: 'a@b.example' })
    await sendOne({ skip: true })
  }
  await send(guest, 'renamed', '{}', {})
  t.same(await problemsOf(), [], 'two may be odd orders')
  await sendOne({ e_mail: 'a@b.example' })
  t.match(await problemsOf(), [
    /^no event could be made of its last 3 webhooks, which are lost: the expression failed: /,
  ])
  t.match(await relay('status'), { code: 3, stdout: /^source renamed: no event could be made of/m })
  await sendOne({ mail: 'a@b.example' })
  t.same(await problemsOf(), [])
  await until(async () => sentOf(guest).length === 2)
})

t.test('orders of a till, which name no customer, are no problem of their source', async (t) => {
  const guest = await enter(t)
  await register(t, guest, 'till', { kind: 'shopify' })
  const nobody = { email: null, contact_email: null, phone: null, customer: null }
  const places = { billing_address: null, shipping_address: null, landing_site: null }
  for (let sold = 0; sold < 4; sold++)
    await sendShopify(guest, 'till', order({ source_name: 'pos', ...nobody, ...places }))
  t.match((await guest.admin('GET', '/sources/till')).body, {
    problems: { length: 0 },
    webhooks: [{ outcome: 'invalid', reason: /^user_data: / }],
  })
  for (let lost = 0; lost < 3; lost++) await sendShopify(guest, 'till', '[]')
  t.match((await guest.admin('GET', '/sources/till')).body['problems'], [
    /its last 3 webhooks, which are lost/,
  ])
})

t.test('of settings that are changed at the same time none is lost', async (t) => {
  const { admin, account } = await enter(t)
  await admin('PUT', '/sources/at-once', { kind: 'shopify', ad_account_id: account, secret: SECRET })
  const changes = { label: 'Shop', event_id: '{name}', money: 'presentment', renewals: 'send', test: true }
  const given = Object.entries(changes).map(([name, value]) =>
    admin('PUT', '/sources/at-once', { [name]: value }),
  )
  await Promise.all(given)
  t.match((await admin('GET', '/sources/at-once')).body, changes)
})

t.test('settings that make no sense are refused, by name', async (t) => {
  const { admin, account } = await enter(t)
  const good = { kind: 'shopify', ad_account_id: account, secret: SECRET }
  const refused = async (body: object, path = '/sources/refused') => {
    const answer = await admin('PUT', path, body)
    return answer.status === 400 ? String(answer.body['message']).split(':')[0] : answer.status
  }
  t.equal(await refused({ ...good, kind: undefined }), 'kind')
  t.equal(await refused({ ...good, ad_account_id: '404' }), 'ad_account_id')
  t.equal(await refused({ ...good, secret: undefined }), 'secret')
  t.equal(await refused({ ...good, secret: 'short' }), 'secret')
  t.equal(await refused({ ...good, secret: `${SECRET}\n` }), 'secret')
  t.equal(await refused({ ...good, event_id: 'no path' }), 'event_id')
  t.equal(await refused({ ...good, expression: '1' }), 'expression')
  t.equal(await refused({ ...good, paid_statuses: ['x'] }), 'paid_statuses')
  t.equal(await refused({ ...good, kind: 'custom' }), 'signature')
  const custom = { ...good, ...CUSTOM }
  t.equal(await refused({ ...custom, expression: undefined }), 'expression')
  const unreadable = await admin('PUT', '/sources/refused', { ...custom, expression: '{"a": ' })
  t.match(unreadable.body, { message: /^expression: JSONata error S\d+ at character \d+\.$/ })
  t.equal((await admin('PUT', '/sources/UPPER', good)).status, 400)
  t.equal((await admin('GET', '/sources/refused')).status, 404)
  t.equal((await admin('DELETE', '/sources/refused')).status, 404)
})
