import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { unpackEntries } from '../../src/store/core/trail-entries.ts'
import { makeFolder } from '../support/at-exit.ts'
import { startProcess } from '../support/process.ts'
import { ACCOUNT, ADMIN_TOKEN, TOKEN } from '../support/constants.ts'
import { shopifyHeaders, shopifyOrder } from '../support/shop-payloads.ts'

/** Personal data, one canary per field; each is found again by its marker in whatever case and form. */
const PERSONAL = {
  em: 'canary-em@leak.example',
  ph: '+14155550123',
  fn: 'Canaryfirst',
  ln: 'Canarylast',
  ct: 'Canaryville',
  db: '1931-03-07',
  external_id: 'canary-external-7',
  client_ip_address: '203.0.113.199',
  client_user_agent: 'CanaryAgent/7.1',
  click_id: 'canary-click-7',
}
const MARKERS = [
  'canary-em',
  '4155550123',
  'canaryfirst',
  'canarylast',
  'canaryville',
  '19310307',
  '1931-03-07',
  'canary-external-7',
  'canary-click-7',
  'canaryagent',
  '203.0.113.199',
  'canary-unknown',
  'canary-malformed',
  'canary-search',
  'canary-query',
  'canary-source',
]
/** Unpacked: its rows are compressed. */
function readTrail(path: string): string {
  using db = new DatabaseSync(path, { readOnly: true })
  const rows = db.prepare('SELECT entries FROM trail').all()
  return rows.map(({ entries }) => JSON.stringify(unpackEntries(entries as Uint8Array))).join('\n')
}

/** Pinterest gets these as they are; nobody else may see them. */
const SENT_AS_TEXT = ['canary-click-7', 'canaryagent', '203.0.113.199', 'canary-search', 'canary-query']

t.test('no personal data, token or key in any output, answer, metric or file', async (t) => {
  const folder = makeFolder(t)
  const sandbox = await createSandbox()
  const relay = await startProcess({
    DATABASE_URL: `sqlite:${folder}/relay.db`,
    PINTEREST_API_URL: sandbox.url,
    LOG_LEVEL: 'trace',
    ANSWER_WAIT_MS: '300',
    CALL_TIMEOUT_MS: '300',
    BODY_LIMIT_BYTES: '100000',
  })
  t.teardown(async () => {
    await sandbox.close()
    relay.signal('SIGKILL')
    await relay.ended
  })
  const relayKey = await relay.register()
  const secrets = [
    relayKey,
    TOKEN,
    ADMIN_TOKEN,
    'prl_canary',
    'canary-client-secret',
    'pinr_',
    'pina_conversion',
    'code_canary',
    'canary-shop-secret',
  ]
  const answers: string[] = []
  const { client_ip_address } = PERSONAL

  let counter = 0
  const event = (userData: object = PERSONAL) => ({
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    event_id: `leak-${counter++}`,
    event_source_url: `https://shop.example/?q=canary-query&email=${encodeURIComponent(PERSONAL.em)}`,
    user_data: userData,
    custom_data: { search_string: 'canary-search', value: 1 },
    'canary-unknown': 'canary-unknown',
  })
  const post = async (body: unknown, headers: Record<string, string> = {}, path = '') => {
    const response = await fetch(`${relay.publicUrl}/v5/ad_accounts/${ACCOUNT}/events${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${relayKey}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    answers.push(JSON.stringify([...response.headers]), await response.text())
  }
  const admin = async (method: string, path: string, body?: object) => {
    const response = await fetch(relay.adminUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      redirect: 'manual',
    })
    answers.push(JSON.stringify([...response.headers]), await response.text())
  }

  /** Every way to come to a token, good and refused, with Pinterest echoing what it got. */
  async function tryTokens(): Promise<void> {
    const client = { client_id: 'app', client_secret: 'canary-client-secret' }
    const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
    const oauth = { ...client, refresh_token: refreshToken }
    for (const fault of [
      {
        kind: 'status',
        status: 400,
        body: { error: 'invalid_grant', error_description: `canary-client-secret ${refreshToken}` },
      },
      { kind: 'status', status: 200, body: { access_token: 'pina_conversion', scope: 'x' } },
      { kind: 'reset', when: 'afterBody' },
    ] as const) {
      sandbox.faults.set([{ ...fault, endpoint: 'token', times: 1 }])
      await admin('PUT', '/accounts/22', { oauth })
    }
    await admin('PUT', '/accounts/22', { oauth: { ...oauth, client_secret: 'canary-client-secret\n' } })
    await admin('PUT', '/accounts/22', { oauth })
    await admin('PUT', '/accounts/33', { oauth: { shared_with: '22' } })
    await admin('POST', '/accounts/33/conversion-token')
    sandbox.faults.set([
      { kind: 'status', status: 401, body: '{"code":2,"message":"bad: {access_token}"}', times: 1 },
      {
        kind: 'status',
        status: 400,
        endpoint: 'token',
        body: { message: `bad: ${refreshToken} canary-client-secret` },
      },
    ])
    for (const id of [ACCOUNT, '22', '33']) await admin('POST', `/accounts/${id}/verify`)
    await admin('PUT', '/accounts/22', { oauth: { ...client, client_secret: 'canary-client-secret-2' } })
    await admin('GET', '/accounts/22/authorize')
    await admin('GET', '/oauth/callback?state=canary-query&code=code_canary')
    await admin('POST', '/session', { admin_token: 'canary-malformed' })
    for (const path of ['/accounts', '/accounts/22/quality', '/metrics', '/audit']) await admin('GET', path)
  }

  /** Sources with good, bad and rotated secrets; webhooks that are taken, filtered, invalid and refused, all with personal data. */
  async function tryWebhooks(): Promise<void> {
    const secret = 'canary-shop-secret-1'
    const order = JSON.stringify(
      shopifyOrder(new Date(), {
        email: PERSONAL.em,
        phone: PERSONAL.ph,
        name: '#1',
        note: 'canary-source',
        note_attributes: [{ name: '_epik', value: PERSONAL.click_id }],
        client_details: { browser_ip: PERSONAL.client_ip_address, user_agent: PERSONAL.client_user_agent },
      }),
    )
    const send = async (id: string, body: string, headers: Record<string, string>) => {
      const response = await fetch(`${relay.publicUrl}/sources/${id}`, { method: 'POST', headers, body })
      answers.push(JSON.stringify([...response.headers]), await response.text())
    }
    const source = { kind: 'shopify', ad_account_id: ACCOUNT, secret }
    await admin('PUT', '/sources/shop', { ...source, secret: `${secret}\n` })
    await admin('PUT', '/sources/shop', { ...source, canary: secret })
    await admin('PUT', '/sources/shop', source)
    for (const [body, key] of [
      [order, secret],
      [order, 'wrong'],
      [order.slice(0, -1), secret],
      ['"canary-source"', secret],
    ] as const) {
      await send('shop', body, shopifyHeaders(key, body))
      await send('shop', body, {
        ...shopifyHeaders(key, body),
        'x-shopify-topic': `${PERSONAL.em} canary-source`,
      })
      await send('canary-source', body, shopifyHeaders(key, body))
    }
    await admin('PUT', '/sources/shop', { secret: 'canary-shop-secret-2' })
    const own = { ...source, kind: 'custom', signature: { header: 'X-Sign', algorithm: 'none' } }
    for (const expression of [
      '$number(body.email)',
      '$error(body.email)',
      '{"event_name": body.note, "x": body}',
      '[',
    ]) {
      await admin('PUT', '/sources/own', { ...own, expression })
      await send('own', order, { 'x-sign': secret })
    }
    for (const path of ['/sources', '/sources/own', '/metrics', '/audit']) await admin('GET', path)
    await admin('DELETE', '/sources/own')
  }

  // Good and bad posts, and every field wrong in its own way.
  await post({ data: [event()] })
  await post({ data: [event()] }, {}, '?test=true')
  for (const [field, value] of Object.entries(PERSONAL)) {
    await post({
      data: [event({ ...PERSONAL, [field]: [`${value} ${value}`, { nested: value }, `\ud800${value}`] })],
    })
    await post({ data: [event({ [field]: value })] })
  }
  await post({ data: [{ event_name: PERSONAL.em, event_id: 'x', user_data: PERSONAL }] })
  await post({ data: [{ ...event(), event_time: PERSONAL.em, action_source: 'canary-malformed' }] })
  await post({ data: [{ ...event(), custom_data: { value: 'canary-malformed', 'canary-unknown@x': 1 } }] })
  const sentBefore = sandbox.journal.calls()
  // Ids that are a customer's data, in events that are taken and in those that are not.
  const em = createHash('sha256').update(PERSONAL.em).digest('hex')
  for (const id of [PERSONAL.em, PERSONAL.ph, `order-4155550123`, 'Canaryville-1', client_ip_address, em]) {
    const custom_data = { order_id: id, value: 1 }
    const user_data = { ...PERSONAL, em: [PERSONAL.em, em] }
    await post({ data: [{ ...event(user_data), event_id: `x-${id}`, custom_data }] })
    await post({ data: [{ ...event(user_data), event_id: id, custom_data, action_source: 'fax' }] })
    await post({ data: [{ ...event(user_data), event_id: undefined, custom_data }] })
    // A dead letter.
    sandbox.faults.set([{ kind: 'failEvents' }])
    await post({ data: [{ ...event(user_data), event_id: `dead-${id}`, custom_data }] })
    sandbox.faults.clear()
  }
  await admin('POST', '/events/erase', { order_id: PERSONAL.em })
  await admin('POST', '/events/erase', { event_id: '4155550123' })
  // What the sender has for an id is sent as it is.
  sandbox.journal.clear()
  // Malformed bodies, keys and queries.
  await post(`{"data":[{"em":"${PERSONAL.em} canary-malformed`)
  await post(`canary-malformed ${PERSONAL.ph}`)
  await post({ data: 'canary-malformed' })
  await post({ data: ['canary-malformed', PERSONAL.em] })
  await post({ data: [event(), 'canary-malformed'.repeat(10_000)] })
  await post({ data: [event()] }, {}, `?test=canary-malformed`)
  await post({ data: [event()] }, {}, `?em=${PERSONAL.em}`)
  await post({ data: [event()] }, { authorization: 'Bearer prl_canary' })
  await post({ data: [event()] }, { 'content-type': 'text/canary-malformed' })
  await post({ data: [event()] }, { prefer: 'canary-malformed' })
  // Pinterest echoing what it got, in every way that it can refuse.
  const { click_id, client_user_agent } = PERSONAL
  const echo = `{access_token} ${click_id} ${client_user_agent} ${client_ip_address} canary-search ?q=canary-query`
  const body = JSON.stringify({ code: 1, message: echo })
  for (const status of [400, 401, 403, 404, 413, 422, 429, 500, 503]) {
    sandbox.faults.set([{ kind: 'status', status, body, times: 1 }])
    await post({ data: [event()] })
    await admin('PUT', `/accounts/${ACCOUNT}`, { access_token: TOKEN })
  }
  sandbox.faults.set([{ kind: 'failEvents', message: echo, times: 1 }])
  await post({ data: [event()] })
  for (const kind of ['hang', 'truncated'] as const) {
    sandbox.faults.set([{ kind, times: 1 }])
    await post({ data: [event()] })
  }
  sandbox.faults.set([{ kind: 'reset', when: 'afterBody' }])
  // These stay in the store, to be found there if they lay open.
  for (let n = 0; n < 20; n++) await post({ data: [event()] }, { prefer: 'respond-async' })
  // The admin port, with good and bad input.
  await admin('PUT', `/accounts/${ACCOUNT}`, { access_token: 'canary-malformed\n', label: 'x' })
  await admin('PUT', `/accounts/${ACCOUNT}`, { access_token: TOKEN, canary: 'canary-malformed' })
  for (const path of [
    '/accounts',
    `/accounts/${ACCOUNT}`,
    '/keys',
    '/totals',
    '/metrics',
    '/events?limit=1000',
    '/dead-letters?limit=1000',
    '/audit?limit=1000',
    '/none?q=canary-query',
  ]) {
    await admin('GET', path)
  }
  await admin('POST', `/accounts/${ACCOUNT}/verify`)
  sandbox.faults.set([{ kind: 'status', status: 401, body: '{"code":2,"message":"bad: {access_token}"}' }])
  await admin('POST', `/accounts/${ACCOUNT}/verify`)
  await tryTokens()
  await tryWebhooks()
  relay.signal('SIGTERM')
  t.equal(await relay.ended, 0)

  const files = await readdir(folder)
  t.ok(files.includes('relay.db') && files.includes('relay.vault.db'))
  const stored = await Promise.all(
    files.map(async (name) => (await readFile(join(folder, name))).toString('latin1')),
  )
  t.ok(stored.join('').length > 20_000, 'the store holds something')
  const trail = readTrail(join(folder, 'relay.db'))
  t.ok(trail.includes('leak-1'), 'the event trail holds something')
  t.notMatch(trail, /[0-9a-f]{64}/i, 'no hash of a customer in the trail')
  const places: [string, string][] = [
    ['stdout', relay.stdout.join('\n')],
    ['stderr', relay.stderr.join('\n')],
    ['answers', answers.join('\n')],
    ['store', stored.join('\n')],
    ['trail', trail],
  ]
  t.ok(relay.stdout.length > 50 && answers.length > 100, 'there was something to look at')
  for (const [place, text] of places) {
    const lower = text.toLowerCase()
    for (const marker of MARKERS) t.notOk(lower.includes(marker), `no ${marker} in ${place}`)
    for (const secret of secrets) {
      // The last four characters of a token are shown on purpose.
      t.notOk(text.includes(secret), `no ${secret.slice(0, 8)}… in ${place}`)
    }
  }
  const sent = JSON.stringify([sentBefore, sandbox.journal.calls()]).toLowerCase()
  for (const marker of MARKERS) {
    if (!SENT_AS_TEXT.includes(marker)) t.notOk(sent.includes(marker), `no ${marker} sent to Pinterest`)
  }
})
