import t, { type Test } from 'tap'

import { createSandbox } from '../../sandbox/sandbox.ts'
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.ts'
import { ACCOUNT, control, post } from './post.ts'

const DAY_MS = 24 * 3600 * 1000
const REDIRECT = 'http://127.0.0.1:9/oauth/callback'
const QUERY = {
  client_id: 'app',
  redirect_uri: REDIRECT,
  response_type: 'code',
  scope: 'ads:write,ads:read',
  state: 'st"ate',
}

async function setUp(t: Test, options: SandboxOptions = {}): Promise<Sandbox> {
  const clients = [
    { clientId: 'app', clientSecret: 'se:cret' },
    { clientId: 'other', clientSecret: 'secret' },
  ]
  const sandbox = await createSandbox({ tokens: [], oauthClients: clients, ...options })
  t.teardown(() => sandbox.close())
  return sandbox
}

async function ask(sandbox: Sandbox, path: string, init: RequestInit) {
  const response = await fetch(`${sandbox.url}${path}`, init)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

function token(sandbox: Sandbox, form: Record<string, string>, client = 'app:se:cret') {
  return ask(sandbox, '/oauth/token', {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(client).toString('base64')}` },
    body: new URLSearchParams(form),
  })
}

const refresh = (sandbox: Sandbox, refreshToken: unknown, more: Record<string, string> = {}) =>
  token(sandbox, { grant_type: 'refresh_token', refresh_token: String(refreshToken), ...more })

function mint(sandbox: Sandbox, accessToken: unknown) {
  const headers = { authorization: `Bearer ${String(accessToken)}` }
  return ask(sandbox, '/oauth/conversion_token', { method: 'POST', headers })
}

/** Presses a button of the consent page; answers where it leads. */
async function decide(sandbox: Sandbox, more: Record<string, string>, query = QUERY): Promise<URL> {
  const response = await fetch(`${sandbox.origin}/oauth/`, {
    method: 'POST',
    body: new URLSearchParams({ ...query, ...more }),
    redirect: 'manual',
  })
  t.equal(response.status, 302)
  return new URL(response.headers.get('location')!)
}

async function getCode(sandbox: Sandbox, user?: string): Promise<string> {
  const back = await decide(sandbox, { decision: 'allow', ...(user && { user }) })
  return back.searchParams.get('code')!
}

const exchange = (sandbox: Sandbox, code: string, more: Record<string, string> = {}, client?: string) =>
  token(sandbox, { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, ...more }, client)

t.test('the consent page shows who asks for what, and leads back with a code or a refusal', async (t) => {
  const sandbox = await setUp(t, { users: [{ name: '<b>Anna</b>' }] })
  const page = await fetch(`${sandbox.origin}/oauth/?${String(new URLSearchParams(QUERY))}`)
  const html = await page.text()
  t.equal(page.status, 200)
  t.match(html, /ads:write,ads:read/)
  t.notMatch(html, /<b>|"st"ate"|<script/, 'every value is escaped')
  const allowed = await decide(sandbox, { decision: 'allow' })
  t.match(allowed.href, REDIRECT)
  t.match(allowed.searchParams.get('code'), /^code_/)
  t.equal(allowed.searchParams.get('state'), 'st"ate')
  const denied = await decide(sandbox, { decision: 'deny' })
  t.equal(denied.search, '?error=access_denied&state=st%22ate')
})

t.test('a consent page that was asked for wrongly says so and leads nowhere', async (t) => {
  const sandbox = await setUp(t)
  for (const wrong of [
    { client_id: 'nobody' },
    { redirect_uri: 'javascript:alert(1)' },
    { response_type: 'token' },
    { scope: 'everything' },
  ]) {
    const query = new URLSearchParams({ ...QUERY, ...wrong })
    t.equal((await fetch(`${sandbox.origin}/oauth/?${String(query)}`)).status, 400)
    const body = new URLSearchParams({ ...QUERY, ...wrong, decision: 'allow' })
    t.equal((await fetch(`${sandbox.origin}/oauth/`, { method: 'POST', body })).status, 400)
  }
})

t.test('a code is good once, for ten minutes, for its app and address', async (t) => {
  const sandbox = await setUp(t)
  const code = await getCode(sandbox)
  t.match(await exchange(sandbox, code, {}, 'other:secret'), { status: 400, body: { code: 283 } })
  t.match(await exchange(sandbox, code, { redirect_uri: 'http://else.example/' }), { status: 400 })
  t.equal((await exchange(sandbox, code, {}, 'app:wrong')).status, 401)
  const { status, body } = await exchange(sandbox, code)
  t.equal(status, 200)
  t.match(body, {
    response_type: 'authorization_code',
    token_type: 'bearer',
    expires_in: 2_592_000,
    refresh_token_expires_in: 5_184_000,
    scope: 'ads:write,ads:read',
    access_token: /^pina_/,
    refresh_token: /^pinr_/,
  })
  t.match(await exchange(sandbox, code), { status: 400, body: { message: /used before/ } })
  t.match(await exchange(sandbox, 'code_made_up'), { status: 400 })
  const late = await getCode(sandbox)
  sandbox.advanceClock(11 * 60_000)
  t.match(await exchange(sandbox, late), { status: 400, body: { message: /expired/ } })
})

t.test('a refresh token is good once, for its app, and for no more than was granted', async (t) => {
  const sandbox = await setUp(t)
  const first = sandbox.grants.grant({ clientId: 'app', scope: 'ads:write' })
  t.match(await refresh(sandbox, first.refreshToken, { scope: 'ads:write,ads:read' }), { status: 400 })
  const wrong = { grant_type: 'refresh_token', refresh_token: first.refreshToken }
  t.match(await token(sandbox, wrong, 'other:secret'), { status: 400, body: { message: /another app/ } })
  const second = await refresh(sandbox, first.refreshToken, { scope: 'ads:write' })
  t.match(second, { status: 200, body: { response_type: 'refresh_token', scope: 'ads:write' } })
  t.match(await refresh(sandbox, first.refreshToken), { status: 400, body: { message: /used before/ } })
  t.equal((await post(sandbox, { token: first.accessToken })).status, 200, 'the old access token lives on')
  sandbox.advanceClock(30 * DAY_MS)
  t.equal((await post(sandbox, { token: second.body['access_token'] as string })).status, 401, 'expired')
  sandbox.advanceClock(30 * DAY_MS)
  t.match(await refresh(sandbox, second.body['refresh_token']), { status: 400, body: { message: /expired/ } })
  t.match(sandbox.oauthStats(), { refreshes: 5, reuses: 1 })
})

t.test('with a grace a refresh token may be used again, and answers the same successors', async (t) => {
  const sandbox = await setUp(t, { reuseGraceMs: 60_000 })
  const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
  const one = await refresh(sandbox, refreshToken)
  t.equal((await refresh(sandbox, refreshToken)).body['refresh_token'], one.body['refresh_token'])
  sandbox.advanceClock(61_000)
  t.equal((await refresh(sandbox, refreshToken)).status, 400)
})

t.test(
  'tokens are for the accounts of the one who consented, and for the scopes that were granted',
  async (t) => {
    const users = [
      { name: 'anna', adAccountIds: [ACCOUNT] },
      { name: 'ben', adAccountIds: ['7'] },
    ]
    const sandbox = await setUp(t, { users })
    const status = async (accessToken: unknown) =>
      (await post(sandbox, { token: String(accessToken) })).status
    const anna = await exchange(sandbox, await getCode(sandbox, 'anna'))
    const ben = await exchange(sandbox, await getCode(sandbox, 'ben'))
    t.equal(await status(anna.body['access_token']), 200)
    t.equal(await status(ben.body['access_token']), 403)
    const reader = sandbox.grants.grant({ clientId: 'app', scope: 'ads:read' })
    t.equal(await status(reader.accessToken), 403)
    t.equal((await mint(sandbox, reader.accessToken)).status, 403)
  },
)

t.test('a minted token outlives its grant, sends events, and does nothing else', async (t) => {
  const sandbox = await setUp(t, { users: [{ name: 'anna', adAccountIds: [ACCOUNT] }] })
  const { accessToken } = sandbox.grants.grant({ clientId: 'app' })
  const minted = await mint(sandbox, accessToken)
  t.match(minted, { status: 200, body: { token_type: 'conversion' } })
  const conversionToken = minted.body['access_token'] as string
  sandbox.advanceClock(365 * DAY_MS)
  t.equal((await mint(sandbox, accessToken)).status, 401)
  t.equal((await mint(sandbox, conversionToken)).status, 403)
  t.equal((await post(sandbox, { token: conversionToken })).status, 200)
  t.equal((await post(sandbox, { token: conversionToken, adAccountId: '7' })).status, 403)
  t.equal((await scores(sandbox, conversionToken)).status, 403)
})

t.test('revoking ends a grant, and what was minted from it if asked', async (t) => {
  const sandbox = await setUp(t)
  const first = sandbox.grants.grant({ clientId: 'app' })
  const minted = (await mint(sandbox, first.accessToken)).body['access_token'] as string
  const status = async (accessToken: string) => (await post(sandbox, { token: accessToken })).status
  t.ok(sandbox.grants.revoke(first.accessToken))
  t.equal(await status(first.accessToken), 401)
  t.match(await refresh(sandbox, first.refreshToken), { status: 400, body: { message: /revoked/ } })
  t.equal(await status(minted), 200)
  sandbox.grants.revoke(first.refreshToken, { andMinted: true })
  t.equal(await status(minted), 401)
  t.notOk(sandbox.grants.revoke('pina_nobody'))
})

function scores(sandbox: Sandbox, accessToken: string, query = 'lookback_period=14d') {
  const headers = { authorization: `Bearer ${accessToken}` }
  return ask(sandbox, `/ad_accounts/${ACCOUNT}/conversion_eqs?${query}`, { headers })
}

t.test('the quality score is counted from what was recorded', async (t) => {
  const sandbox = await setUp(t)
  const { accessToken } = sandbox.grants.grant({ clientId: 'app' })
  t.strictSame(await scores(sandbox, accessToken), { status: 200, body: [] as never })
  await post(sandbox, { token: accessToken })
  await post(sandbox, { token: accessToken, query: '?test=true' })
  t.match((await scores(sandbox, accessToken)).body, [
    {
      overall_status: 'GOOD',
      source_platform: 'WEB',
      ingestion_source: 'CONVERSIONS_API',
      lookback_period: '14d',
      quality_components: {
        hashed_email: { checkout: { coverage: 100 } },
        click_id_epik: { checkout: { coverage: 0, issues: [{ id: String, name: String, reason: String }] } },
      },
    },
  ])
  t.strictSame((await scores(sandbox, accessToken, 'lookback_period=1d&source_platform=OFFLINE')).body, [])
  for (const query of ['', 'lookback_period=2d', 'lookback_period=1d&source_platform=PC']) {
    t.equal((await scores(sandbox, accessToken, query)).status, 400)
  }
  t.equal((await scores(sandbox, 'pina_unknown')).status, 401)
})

t.test('faults of these endpoints happen before or after what was asked for is done', async (t) => {
  const sandbox = await setUp(t)
  const cases = [
    [{ kind: 'status', status: 503 }, false],
    [{ kind: 'status', status: 200, body: {}, isRecorded: true }, true],
    [{ kind: 'reset', when: 'beforeBody' }, false],
    [{ kind: 'reset', when: 'afterBody' }, false],
    [{ kind: 'reset', when: 'afterRecording' }, true],
  ] as const
  for (const [fault, isDone] of cases) {
    const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
    sandbox.faults.set([{ ...fault, endpoint: 'token', times: 1 }])
    await refresh(sandbox, refreshToken).catch(() => undefined)
    t.match(sandbox.tokenRequests().at(-1), { endpoint: 'token', isDone }, JSON.stringify(fault))
    t.equal((await refresh(sandbox, refreshToken)).status, isDone ? 400 : 200, JSON.stringify(fault))
  }
  sandbox.faults.set([{ kind: 'status', status: 500 }])
  t.equal((await refresh(sandbox, sandbox.grants.grant({ clientId: 'app' }).refreshToken)).status, 200)
})

t.test('all of it can be done over HTTP', async (t) => {
  const sandbox = await setUp(t)
  const made = await control(sandbox, 'POST', 'grants', { clientId: 'app' })
  t.match(made, { status: 201, body: { accessToken: /^pina_/, refreshToken: /^pinr_/ } })
  const { accessToken, refreshToken } = made.body as { accessToken: string; refreshToken: string }
  t.equal((await control(sandbox, 'POST', 'clock', { advanceMs: 31 * DAY_MS })).status, 200)
  t.equal((await post(sandbox, { token: accessToken })).status, 401)
  t.equal((await refresh(sandbox, refreshToken)).status, 200)
  t.equal((await control(sandbox, 'POST', 'revoke', { token: refreshToken })).status, 200)
  t.equal((await control(sandbox, 'POST', 'revoke', { token: 'pina_none' })).status, 404)
  t.match((await control(sandbox, 'GET', 'oauth')).body, { refreshes: 1, requests: [{ endpoint: 'token' }] })
  t.notMatch(JSON.stringify((await control(sandbox, 'GET', 'oauth')).body), /pin[ar]_/)
  for (const body of [{}, { clientId: 7 }, { clientId: 'a', more: 1 }]) {
    t.equal((await control(sandbox, 'POST', 'grants', body)).status, 400)
  }
  t.equal((await control(sandbox, 'POST', 'clock', { advanceMs: -1 })).status, 400)
})
