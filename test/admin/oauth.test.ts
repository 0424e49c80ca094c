import t, { type Test } from 'tap'
import { createTickets } from '../../src/admin/session.ts'
import { createBrowser, type Browser } from '../support/browser.ts'
import { rawEvent } from '../support/events.ts'
import { ADMIN_TOKEN, postHeld, shareRelay, TOKEN, type Guest } from '../support/relay.ts'
import { createCommandLine } from '../cli/stage.ts'

const CLIENT = { client_id: 'app', client_secret: 'client-secret-0001' }
const annas = ['2', '3']
const OPTIONS = {
  oauthClients: [
    { clientId: 'app', clientSecret: 'client-secret-0001' },
    { clientId: 'app', clientSecret: 'client-secret-0002' },
  ],
  users: [
    { name: 'anna', adAccountIds: annas },
    { name: 'ben', adAccountIds: ['4'] },
  ],
}

const enterRelay = shareRelay({}, OPTIONS)

/** The test's account is one of anna's. */
async function enter(t: Test): Promise<Guest> {
  const guest = await enterRelay(t)
  annas.push(guest.account)
  return guest
}

/** What the test itself has asked of the sandbox since now. */
function countTokenRequests({ sandbox }: Guest) {
  const before = sandbox.oauthStats()
  return () => {
    const { refreshes, reuses } = sandbox.oauthStats()
    return { refreshes: refreshes - before.refreshes, reuses: reuses - before.reuses }
  }
}

const put = (stand: Guest, account: string, oauth: object, more: object = {}) =>
  stand.admin('PUT', `/accounts/${account}`, { oauth, ...more })

/** A refresh token of a consent of anna's. */
const consented = (stand: Guest, more: { scope?: string; user?: string } = {}) =>
  stand.sandbox.grants.grant({ clientId: 'app', ...more })

async function delivered(stand: Guest, count: number, account = stand.account) {
  await stand.sandbox.until(() => stand.sandbox.conversions.summary(account).recorded === count)
}

t.test('a refresh token sets an account up: the relay sends with what it gets for it', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const requests = countTokenRequests(stand)
  const { refreshToken } = consented(stand)
  const answer = await put(stand, account, { ...CLIENT, refresh_token: refreshToken })
  t.match(answer, {
    status: 200,
    body: {
      token: {
        kind: 'oauth',
        age_seconds: Number,
        last4: /^.{4}$/,
        last_success_at: null,
        last_failure: null,
      },
      grant: { status: 'valid', scope: 'ads:write,ads:read', ad_account_ids: [account], last_failure: null },
      client_id: 'app',
    },
  })
  const { grant, token } = answer.body as Record<string, Record<string, number>>
  t.ok(token!['expires_in_seconds']! > 29.9 * 86_400)
  t.ok(grant!['refresh_expires_in_seconds']! > 59.9 * 86_400)
  t.ok(Math.abs(grant!['next_refresh_in_seconds']! - 24 * 86_400) < 0.7 * 86_400)
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
  t.match((await stand.admin('GET', `/accounts/${account}`)).body, { token: { last_success_at: String } })
  t.match(requests(), { refreshes: 1 })
})

t.test(
  'accounts that are given the same refresh token share its grant, also when it is long used up',
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    const requests = countTokenRequests(stand)
    const { refreshToken } = consented(stand)
    const both = ['2', '3'].map((id) => put(stand, id, { ...CLIENT, refresh_token: refreshToken }))
    t.strictSame(
      (await Promise.all(both)).map(({ status }) => status),
      [201, 201],
    )
    stand.sandbox.tokens.revoke('nothing')
    t.match((await put(stand, account, { ...CLIENT, refresh_token: refreshToken })).body, {
      grant: { ad_account_ids: [account, '2', '3'] },
    })
    t.match(requests(), { refreshes: 1, reuses: 0 })
    t.match(await put(stand, '5', { shared_with: '2' }), { status: 400, body: { code: 'TOKEN_REFUSED' } })
    t.match(await put(stand, account, { shared_with: '2' }), { status: 200 })
    const { accounts } = (await stand.admin('GET', '/accounts')).body as { accounts: { grant: object }[] }
    t.ok(accounts.length >= 3)
    for (const { grant } of accounts)
      t.notOk('ad_account_ids' in (grant ?? {}), 'not as often as there are accounts')
    await stand.admin('DELETE', '/accounts/2')
    t.match((await stand.admin('GET', '/accounts/3')).body, { grant: { ad_account_ids: [account, '3'] } })
  },
)

const badGrants: [name: string, oauth: object, status: number, pattern: RegExp][] = [
  ['no client', {}, 400, /oauth.client_id: is required/],
  ['no secret', { client_id: 'app' }, 400, /oauth.client_secret: is required/],
  [
    'a wrong secret',
    { client_id: 'app', client_secret: 'wrong-secret', refresh_token: 'REFRESH' },
    400,
    /401/,
  ],
  ['an unknown refresh token', { ...CLIENT, refresh_token: 'pinr_unknown' }, 400, /grant is invalid/],
  ['a token of another', { ...CLIENT, refresh_token: 'BENS' }, 400, /not permitted/],
  ['too small a scope', { ...CLIENT, refresh_token: 'READ_ONLY' }, 400, /scope|ads:write/],
  ['no account to share with', { shared_with: '99' }, 400, /oauth.shared_with/],
  ['sharing and more', { shared_with: '99', ...CLIENT }, 400, /excludes all other settings/],
  ['an unknown field', { ...CLIENT, refreshtoken: 'x' }, 400, /is not known here$/],
  ['a colon in the id', { client_id: 'a:b', client_secret: 'long-enough' }, 400, /client_id/],
]
t.test('bad input gets a clear error, without any secret, and changes nothing that worked', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const tokens: Record<string, string> = {
    REFRESH: consented(stand).refreshToken,
    BENS: consented(stand, { user: 'ben' }).refreshToken,
    READ_ONLY: consented(stand, { scope: 'ads:read' }).refreshToken,
  }
  for (const [name, oauth, status, pattern] of badGrants) {
    const given = { ...oauth } as Record<string, string>
    const { refresh_token: placeholder } = given
    if (placeholder !== undefined) given['refresh_token'] = tokens[placeholder] ?? placeholder
    const answer = await put(stand, account, given)
    t.equal(answer.status, status, name)
    t.match(answer.body['message'], pattern, name)
    t.notMatch(JSON.stringify(answer.body), /pin[ar]_|secret-0001|wrong-secret/, name)
  }
  t.match(await put(stand, account, CLIENT, { access_token: TOKEN }), {
    status: 400,
    body: { message: /together/ },
  })
  t.match((await stand.admin('GET', `/accounts/${account}`)).body, { token: { kind: 'given' }, grant: null })
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
})

t.test('a refresh token that was used up by a refused try is good for the next one', async (t) => {
  const stand = await enter(t)
  const requests = countTokenRequests(stand)
  const { refreshToken } = consented(stand, { user: 'ben' })
  t.equal((await put(stand, '2', { ...CLIENT, refresh_token: refreshToken })).status, 400)
  t.equal((await put(stand, '4', { ...CLIENT, refresh_token: refreshToken })).status, 201)
  t.match(requests(), { refreshes: 1, reuses: 0 })
})

t.test('answers of Pinterest that cannot be used are told apart from refusals', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const faults = [
    [{ kind: 'status', status: 503 }, /status_503/],
    [
      { kind: 'status', status: 200, body: { access_token: 'pina_new_0123' }, isRecorded: true },
      /promised_fields/,
    ],
    [{ kind: 'status', status: 200, body: '<html>', isRecorded: true }, /promised_fields/],
    [{ kind: 'reset', when: 'afterRecording' }, /reset.*authorize the account again/],
  ] as const
  for (const [fault, pattern] of faults) {
    stand.sandbox.faults.set([{ ...fault, endpoint: 'token', times: 1 }])
    const given = { ...CLIENT, refresh_token: consented(stand).refreshToken }
    t.match(await put(stand, account, given), {
      status: 502,
      body: { code: 'PINTEREST_UNAVAILABLE', message: pattern },
    })
  }
  const body = {
    access_token: 'pina_new_0123',
    refresh_token: 'pinr_new_0123',
    expires_in: 9,
    scope: 'ads:read',
  }
  stand.sandbox.faults.set([{ kind: 'status', status: 200, body, endpoint: 'token', times: 1 }])
  t.match(await put(stand, account, { ...CLIENT, refresh_token: 'pinr_any_token' }), {
    status: 400,
    body: { code: 'TOKEN_REFUSED', message: /ads:write/ },
  })
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
})

t.test(
  'an expired or revoked access token is replaced in the middle of delivery, once for all accounts',
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    const requests = countTokenRequests(stand)
    const { refreshToken } = consented(stand)
    await put(stand, account, { ...CLIENT, refresh_token: refreshToken })
    await put(stand, '2', { shared_with: account })
    const { key } = (await stand.admin('POST', '/keys', { label: 'both', ad_account_ids: [account, '2'] }))
      .body as {
      key: string
    }
    stand.sandbox.advanceClock(31 * 24 * 3600_000)
    const posts = [account, '2', account, '2'].map((account) =>
      stand.post({ data: [rawEvent()] }, { account, key }),
    )
    t.strictSame(
      (await Promise.all(posts)).map(({ status }) => status),
      [200, 200, 200, 200],
    )
    t.match(requests(), { refreshes: 2, reuses: 0 }, 'one at the set-up, one for all that waited')
  },
)

t.test('a revoked grant holds the queues and keeps the events until somebody consents', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const { refreshToken } = consented(stand)
  await put(stand, account, { ...CLIENT, refresh_token: refreshToken })
  await put(stand, '2', { shared_with: account })
  stand.sandbox.grants.revoke(refreshToken)
  await postHeld(stand, 'reauthorize')
  t.match((await stand.admin('GET', `/accounts/${account}`)).body, {
    queues: [{ status: 'reauthorize' }],
    grant: { status: 'reauthorize', last_failure: { at: String, reason: /revoked/ } },
    token: { last_failure: { reason: String } },
  })
  t.match(
    await metrics(stand),
    new RegExp(`pinrelay_account_needs_consent\\{ad_account_id="${account}"\\} 1`),
  )
  t.ok(stand.logLines.some((line) => /"level":"error".*"reason":"reauthorize"/.test(line)))

  const done = await consent(stand, createBrowser(), account)
  t.equal(done.status, 200)
  t.match(done.text, new RegExp(`Authorized: ${account}, 2\\.`), 'the others on the grant too')
  await delivered(stand, 1)
  t.notMatch(await metrics(stand), /pinrelay_account_needs_consent\{/)
  const expiryS = /^pinrelay_token_expiry_timestamp_seconds\{ad_account_id="2"\} (\d+)/m.exec(
    await metrics(stand),
  )?.[1]
  t.ok(Math.abs(Number(expiryS) - Date.now() / 1000 - 30 * 86_400) < 86_400, `expires at ${expiryS}`)
  const { entries } = (await stand.admin('GET', '/audit')).body as { entries: unknown[] }
  t.match(entries[0], {
    action: 'GET /oauth/callback',
    details: { ad_account_id: account, authorized: [account, '2'] },
  })
})

async function metrics(stand: Guest): Promise<string> {
  return (await stand.admin('GET', '/metrics')).body['text'] as string
}

/** All of a person's way, from the address that the operator opens to the page that says it is done. */
async function consent(stand: Guest, browser: Browser, account: string, user = 'anna') {
  const { back } = await askConsent(stand, browser, account, user)
  return browser.get(back)
}

async function askConsent(
  stand: Guest,
  browser: Browser,
  account: string,
  user = 'anna',
  decision = 'allow',
) {
  const start = `${stand.relay.adminUrl}/accounts/${account}/authorize`
  let page = await browser.get(start)
  if (page.location === `${stand.relay.adminUrl}/?next=/accounts/${account}/authorize`) {
    await browser.send(`${stand.relay.adminUrl}/session`, { admin_token: ADMIN_TOKEN })
    page = await browser.get(start)
  }
  const query = Object.fromEntries(new URL(page.location).searchParams)
  const back = await browser.submit(page.location.split('?')[0]!, { ...query, user, decision })
  return { query, back: back.location, page }
}

t.test('an account can be set up by consent alone, and takes posts from then on', async (t) => {
  const stand = await enter(t)
  t.match(await put(stand, '2', CLIENT, { label: 'two' }), {
    status: 201,
    body: { token: { kind: 'none', last4: null } },
  })
  const { key } = (await stand.admin('POST', '/keys', { label: 'both', ad_account_ids: ['2'] })).body as {
    key: string
  }
  t.equal((await stand.post({ data: [rawEvent()] }, { account: '2', key })).status, 403)
  t.match((await stand.admin('POST', '/accounts/2/verify')).body, { works: false, message: /consent/ })
  const browser = createBrowser()
  const wrong = await browser.send(`${stand.relay.adminUrl}/session`, { admin_token: 'wrong' })
  t.equal(wrong.status, 401)
  const { query } = await askConsent(stand, browser, '2')
  t.match(query, { scope: 'ads:write,ads:read', redirect_uri: `${stand.relay.adminUrl}/oauth/callback` })
  const done = await consent(stand, browser, '2')
  t.equal(done.status, 200)
  t.match(done.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/)
  t.match((await stand.admin('GET', '/accounts/2')).body, { token: { kind: 'oauth' }, label: 'two' })
  t.equal((await stand.post({ data: [rawEvent()] }, { account: '2', key })).status, 200)
})

t.test('a state is good once, in the session that began it, and cannot be made up', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await put(stand, account, CLIENT)
  const browser = createBrowser()
  const { back } = await askConsent(stand, browser, account)
  const stranger = createBrowser()
  t.equal((await stranger.get(back)).status, 400, 'no session')
  await askConsent(stand, stranger, account)
  t.equal((await stranger.get(back)).status, 400, 'another session')
  const forged = new URL(back)
  forged.searchParams.set('state', 'A'.repeat(32))
  t.equal((await browser.get(forged.href)).status, 400, 'made up')
  t.equal((await browser.get(back)).status, 200, 'the one that it belongs to')
  t.equal((await browser.get(back)).status, 400, 'used')
  const json = await stand.admin('GET', `/oauth/callback${new URL(back).search}`)
  t.match(json, { status: 400, body: { code: 'CONSENT_INVALID', message: /state/ } })
})

t.test('a ticket ends by `end`, or after its life', async (t) => {
  let nowMs = 0
  const tickets = createTickets<number>(() => nowMs, 1000)
  const [early, late] = [1, 2].map((value) => tickets.issue(value))
  nowMs = 999
  t.equal(tickets.find(early!), 1)
  tickets.end(early!)
  t.equal(tickets.find(early!), undefined)
  t.equal(tickets.find(late!), 2)
  nowMs = 1000
  t.equal(tickets.find(late!), undefined)
})

t.test('consent that is denied, of the wrong person, or with a used code changes nothing', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await put(stand, account, CLIENT)
  const browser = createBrowser()
  const denied = await askConsent(stand, browser, account, 'anna', 'deny')
  t.match(await browser.get(denied.back), { status: 400, text: /access_denied/ })
  t.match(await consent(stand, browser, account, 'ben'), { status: 400, text: /not permitted/ })
  const first = await askConsent(stand, browser, account)
  const second = await askConsent(stand, browser, account)
  await browser.get(first.back)
  const mixed = new URL(second.back)
  mixed.searchParams.set('code', new URL(first.back).searchParams.get('code')!)
  t.match(await browser.get(mixed.href), { status: 400, text: /used before/ })
  t.match((await stand.admin('GET', `/accounts/${account}`)).body, { token: { kind: 'oauth' } })
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
})

t.test('the page of consent needs an app, an account and a login', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const browser = createBrowser()
  await browser.send(`${stand.relay.adminUrl}/session`, { admin_token: ADMIN_TOKEN })
  const authorize = (id: string) => browser.get(`${stand.relay.adminUrl}/accounts/${id}/authorize`)
  t.match(await authorize(account), { status: 409, text: /has no app/ })
  t.match(await authorize('404'), { status: 404 })
  const bare = await fetch(`${stand.relay.adminUrl}/accounts/${account}/authorize`)
  t.equal(bare.status, 401)
  t.match(await bare.json(), { code: 'UNAUTHORIZED' })
})

t.test(
  "a session's cookie alone opens nothing but consent, with its key everything, and both end",
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    const url = stand.relay.adminUrl
    const body = JSON.stringify({ admin_token: ADMIN_TOKEN })
    const login = await fetch(`${url}/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    t.equal(login.status, 200)
    const { session_key: sessionKey } = (await login.json()) as { session_key: string }
    const [set = ''] = login.headers.getSetCookie()
    t.match(set, /HttpOnly; SameSite=Lax$/)
    const headers = { cookie: set.split(';')[0]! }
    for (const path of ['/accounts', '/keys', '/audit', '/metrics', `/accounts/${account}`]) {
      t.equal((await fetch(url + path, { headers })).status, 401, path)
    }
    t.equal((await fetch(`${url}/accounts/${account}`, { method: 'DELETE', headers })).status, 401)
    t.equal(
      (await fetch(`${url}/accounts/${account}/authorize`, { headers, redirect: 'manual' })).status,
      409,
    )
    const key = { 'x-pinrelay-session-key': sessionKey }
    t.equal((await fetch(`${url}/accounts`, { headers: key })).status, 401, 'the key alone')
    const wrong = { ...headers, 'x-pinrelay-session-key': `${sessionKey.slice(1)}x` }
    t.equal((await fetch(`${url}/accounts`, { headers: wrong })).status, 401, 'another key')
    t.equal((await fetch(`${url}/accounts`, { headers: { ...headers, ...key } })).status, 200)
    await fetch(`${url}/session`, { method: 'DELETE', headers })
    t.equal((await fetch(`${url}/accounts/${account}/authorize`, { headers })).status, 401)
    t.equal((await fetch(`${url}/accounts`, { headers: { ...headers, ...key } })).status, 401)
  },
)

t.test('a minted token makes sending independent of the grant, and the grant is the way back', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  t.match(await stand.admin('POST', `/accounts/${account}/conversion-token`), {
    status: 409,
    body: { code: 'NO_GRANT' },
  })
  const { refreshToken } = consented(stand)
  await put(stand, account, { ...CLIENT, refresh_token: refreshToken })
  const minted = await stand.admin('POST', `/accounts/${account}/conversion-token`)
  t.match(minted, {
    status: 200,
    body: { token: { kind: 'conversion', expires_in_seconds: null }, grant: { status: 'valid' } },
  })
  t.match(await createCommandLine(stand)(`account mint ${account}`), {
    code: 0,
    stdout: `account ${account} uses a conversion token now`,
  })
  stand.sandbox.advanceClock(365 * 24 * 3600_000)
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200, 'a year later')
  stand.sandbox.faults.set([{ kind: 'status', status: 500, endpoint: 'conversion_token', times: 1 }])
  t.equal((await stand.admin('POST', `/accounts/${account}/conversion-token`)).status, 502)
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
})

t.test('a minted token that is refused gives way to the grant by itself', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await put(stand, account, { ...CLIENT, refresh_token: consented(stand).refreshToken })
  await stand.admin('POST', `/accounts/${account}/conversion-token`)
  stand.sandbox.faults.set([{ kind: 'status', status: 401, times: 1 }])
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
  t.match(
    (await stand.admin('GET', `/accounts/${account}`)).body,
    { token: { kind: 'conversion', last_failure: null } },
    'not for one event: the canary is taken',
  )
  stand.sandbox.faults.set([{ kind: 'status', status: 401, times: 2 }])
  t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
  t.match((await stand.admin('GET', `/accounts/${account}`)).body, {
    token: { kind: 'oauth', last_failure: { reason: String } },
  })
})

t.test('a new app secret is tried before it is kept', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const requests = countTokenRequests(stand)
  await put(stand, account, { ...CLIENT, refresh_token: consented(stand).refreshToken })
  t.match(await put(stand, account, { ...CLIENT, client_secret: 'client-secret-9999' }), {
    status: 400,
    body: { message: /401/ },
  })
  t.equal((await put(stand, account, { ...CLIENT, client_secret: 'client-secret-0002' })).status, 200)
  t.match(requests(), { refreshes: 2 })
  t.equal((await put(stand, account, { ...CLIENT, client_secret: 'client-secret-0002' })).status, 200)
  t.match(requests(), { refreshes: 2 }, 'the same one needs no try')
})

t.test('an account is verified with its own token, given, of a grant or none', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await put(stand, '2', { ...CLIENT, refresh_token: consented(stand).refreshToken })
  await put(stand, '3', CLIENT)
  stand.sandbox.faults.set([{ kind: 'status', status: 403, adAccountId: '2' }])
  const verify = async (id: string) => (await stand.admin('POST', `/accounts/${id}/verify`)).body
  t.match(await verify(account), { works: true })
  t.match(await verify('2'), { works: false, status: 403 })
  t.match(await verify('3'), { works: false, status: null })
  t.match((await stand.admin('GET', '/accounts/2')).body, {
    token: { last_failure: { at: String, reason: String } },
  })
})

t.test('a new app secret is audited, also where the account that it came with was refused', async (t) => {
  const stand = await enter(t)
  const { refreshToken } = consented(stand)
  await put(stand, '2', { ...CLIENT, refresh_token: refreshToken })
  const requests = countTokenRequests(stand)
  const given = { client_id: 'app', client_secret: 'client-secret-0002', refresh_token: refreshToken }
  t.match(await put(stand, '4', given), { status: 400, body: { message: /not permitted/ } })
  t.match(requests(), { refreshes: 1 }, 'it was tried, and kept')
  const { entries } = (await stand.admin('GET', '/audit?limit=1')).body as { entries: object[] }
  t.match(entries, [{ action: 'PUT /accounts/:id', details: { ad_account_id: '4', status: 400 } }])
})
