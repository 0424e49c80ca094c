import t from 'tap'
import { readMetrics } from '../support/admin.ts'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ADMIN_TOKEN, enter, postHeld, setUp, shareRelay, TOKEN } from '../support/relay.ts'

const enterOpen = shareRelay({ METRICS_OPEN: 'true' })

t.test('without the admin token nothing is shown, not even what exists', async (t) => {
  const { account, relay } = await enter(t)
  for (const authorization of ['', 'Bearer wrong', `Basic ${ADMIN_TOKEN}`, `Bearer ${ADMIN_TOKEN}x`]) {
    for (const path of [
      '/accounts',
      '/keys',
      `/totals?ad_account_id=${account}`,
      '/metrics',
      `/accounts/${account}`,
      '/nothing',
    ]) {
      const response = await fetch(relay.adminUrl + path, { headers: { authorization } })
      t.equal(response.status, 401, `${path} with "${authorization.slice(0, 8)}"`)
    }
  }
})

t.test('METRICS_OPEN opens the metrics and nothing else', async (t) => {
  const { relay } = await enterOpen(t)
  const metrics = await fetch(`${relay.adminUrl}/metrics`)
  t.equal(metrics.status, 200)
  t.match(await metrics.text(), /^pinrelay_build_info\{version="test"\} 1$/m)
  t.equal((await fetch(`${relay.adminUrl}/totals`)).status, 401)
})

t.test('an account is registered, shown without its token, rotated and removed', async (t) => {
  const { admin } = await enter(t)
  const made = await admin('PUT', '/accounts/1', {
    access_token: 'pina_first_token_0001',
    label: 'one',
    country: 'de',
  })
  t.equal(made.status, 201)
  t.match(made.body, {
    ad_account_id: '1',
    label: 'one',
    country: 'DE',
    token: { last4: '0001', age_seconds: 0 },
  })
  const rotated = await admin('PUT', '/accounts/1', {
    access_token: 'pina_second_token_0002',
    dob_format: 'DMY',
  })
  t.equal(rotated.status, 200)
  t.match(rotated.body, { label: 'one', country: 'DE', dob_format: 'DMY', token: { last4: '0002' } })
  const changed = await admin('PUT', '/accounts/1', { label: 'renamed', country: null })
  t.match(changed.body, { label: 'renamed', country: null, dob_format: 'DMY', token: { last4: '0002' } })
  t.match((await admin('PUT', '/accounts/2', { label: 'no token' })).body, { message: /access_token/ })
  t.notMatch(JSON.stringify((await admin('GET', '/accounts')).body), /pina_/)
  t.equal((await admin('DELETE', '/accounts/1')).status, 204)
  t.equal((await admin('GET', '/accounts/1')).status, 404)
  t.equal((await admin('DELETE', '/accounts/1')).status, 404)
})

const badAccounts: [string, unknown, RegExp][] = [
  ['a country that is not there', { country: 'ZZ' }, /country/],
  ['a token that cannot stand in a header', { access_token: 'pina_with\nnewline' }, /access_token/],
  [
    'an unknown field',
    { access_token: 'pina_0123456789', acess_token: 'x' },
    /^acess_token: is not known here$/,
  ],
  ['a country that is none', { access_token: 'pina_0123456789', country: 'Germany' }, /country/],
  ['a format that is none', { access_token: 'pina_0123456789', dob_format: 'YMD' }, /dob_format/],
  ['a label with a control character', { label: 'a\u001b[31mb' }, /^label: must not hold control characters/],
  [
    'a label that turns what follows it',
    { label: 'a\u202eb' },
    /^label: must not .* marks of text direction/,
  ],
  ['a label with half a character', { label: 'a\ud83d' }, /^label: must not .* halves of characters$/],
  ['a limit below nothing', { access_token: 'pina_0123456789', posts_per_minute: -1 }, /posts_per_minute/],
  ['no object', [1], /body/],
]
const NO_LABEL = 'label: must not hold control characters, marks of text direction or halves of characters'

t.test('bad input is named by its field and changes nothing', async (t) => {
  const { account, admin } = await enter(t)
  for (const [name, body, pattern] of badAccounts) {
    const answer = await admin('PUT', `/accounts/${account}`, body)
    t.equal(answer.status, 400, name)
    t.match(answer.body['message'], pattern, name)
    t.notMatch(JSON.stringify(answer.body), /pina_/)
  }
  t.equal((await admin('PUT', '/accounts/me', { access_token: 'pina_0123456789' })).status, 400)
  t.match((await admin('GET', `/accounts/${account}`)).body, {
    label: 'test shop',
    token: { last4: TOKEN.slice(-4) },
  })
})

t.test('a key is shown once, works for its accounts only, and no longer once it is removed', async (t) => {
  const { account, admin, post } = await enter(t)
  const made = await admin('POST', '/keys', { label: 'shop', ad_account_ids: [account, account] })
  t.equal(made.status, 201)
  t.match(made.body, { id: String, key: /^prl_[\w-]{43}$/, label: 'shop', ad_account_ids: [account] })
  const key = made.body['key'] as string
  t.notMatch(JSON.stringify((await admin('GET', '/keys')).body), key)
  t.equal((await post({ data: [rawEvent()] }, { key })).status, 200)
  t.equal((await post({ data: [rawEvent()] }, { key, account: '77' })).status, 403)
  t.equal((await admin('DELETE', `/keys/${String(made.body['id'])}`)).status, 204)
  t.equal((await post({ data: [rawEvent()] }, { key })).status, 401)
  t.equal((await admin('DELETE', `/keys/${String(made.body['id'])}`)).status, 404)
})

t.test('verify asks Pinterest and shows what it said, without the token', async (t) => {
  const { account, admin, sandbox } = await enter(t)
  t.match((await admin('POST', `/accounts/${account}/verify`)).body, { works: true, status: 200 })
  t.match(sandbox.journal.calls(), [{ isTest: true }])
  const body = { code: 2, message: 'Authentication failed for {access_token}' }
  sandbox.faults.set([{ kind: 'status', status: 401, body: JSON.stringify(body) }])
  const refused = await admin('POST', `/accounts/${account}/verify`)
  t.match(refused.body, { works: false, status: 401, message: 'Authentication failed for [removed]' })
  sandbox.faults.set([{ kind: 'reset', when: 'afterBody' }])
  t.match((await admin('POST', `/accounts/${account}/verify`)).body, {
    works: false,
    status: null,
    message: /reset/,
  })
  t.equal((await admin('POST', '/accounts/404/verify')).status, 404)
})

t.test('a paused account takes posts and makes no calls; resumed, it delivers them', async (t) => {
  const { account, admin, post, sandbox } = await enter(t)
  t.match((await admin('POST', `/accounts/${account}/pause`)).body, { paused: true })
  t.equal((await post({ data: [rawEvent()] }, { headers: { prefer: 'wait=0' } })).status, 202)
  t.match((await admin('GET', `/accounts/${account}`)).body, { queues: [{ test: false, status: 'paused' }] })
  t.equal(sandbox.journal.calls().length, 0)
  t.match((await admin('POST', `/accounts/${account}/resume`)).body, { paused: false })
  await sandbox.until(() => sandbox.conversions.summary(account).recorded === 1)
})

t.test('a refused token holds the queue, and a new one ends the hold', async (t) => {
  const guest = await enter(t)
  const { account, admin, sandbox } = guest
  sandbox.faults.set([{ kind: 'status', status: 401 }])
  await postHeld(guest, 'unauthorized')
  sandbox.faults.clear()
  await admin('PUT', `/accounts/${account}`, { access_token: 'pina_new_token_9999' })
  await sandbox.until(() => sandbox.conversions.summary(account).recorded === 1)
  t.match(sandbox.journal.calls().at(-1), { tokenLast4: '9999' })
})

t.test('the totals of live and test events are kept apart, and asked for together or alone', async (t) => {
  const { account, admin, post } = await enter(t)
  const totals = async (query: string) =>
    (await admin('GET', `/totals${query}`)).body as Record<string, number>
  const since = async (query: string, before: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(await totals(query)).map(([name, count]) => [name, count - before[name]!]),
    )
  const before = { all: await totals(''), test: await totals('?test=true') }
  await post({ data: [rawEvent(), {}] })
  await post({ data: [rawEvent()] }, { query: '?test=true' })
  t.match(await since('', before.all), { received: 2, delivered: 2, invalid: 1 })
  t.match(await since('?test=true', before.test), { received: 1, invalid: 0 })
  t.match(await totals(`?ad_account_id=${account}&test=false`), { received: 1, invalid: 1 })
  t.match(await totals('?ad_account_id=1'), { received: 0 })
  t.equal((await admin('GET', '/totals?account=1')).status, 400)
})

t.test('the metrics count posts, events and calls', async (t) => {
  const { admin, post } = await enterOpen(t)
  await post({ data: [rawEvent(), {}] })
  await post('no')
  const text = await readMetrics(admin)
  t.match(text, /^pinrelay_posts_total\{status="422"\} 1$/m)
  t.match(text, /^pinrelay_posts_total\{status="400"\} 1$/m)
  t.match(text, /^pinrelay_account_events_total\{ad_account_id="\d+",outcome="delivered"\} 1$/m)
  t.match(text, /^pinrelay_account_events_total\{ad_account_id="\d+",outcome="invalid"\} 1$/m)
  t.match(text, /^pinrelay_calls_total\{outcome="200"\} 1$/m)
  t.notMatch(text, 'person@example.com')
  t.equal((await admin('GET', '/nothing')).status, 404)
})

t.test('a refusal says what is wrong, once, and never quotes what was sent', async (t) => {
  const { admin, account } = await enter(t)
  const ask = async (method: string, path: string, body?: unknown) => {
    const { status, body: told } = await admin(method, path, body)
    return { status, message: told['message'] }
  }
  const settings = `/accounts/${account}`
  for (const [method, path, body, status, message] of [
    ['PUT', settings, { colour: 1 }, 400, 'colour: is not known here'],
    ['GET', '/events?colour=1', undefined, 400, 'colour: is not known here'],
    ['GET', '/accounts?colour=1', undefined, 400, 'colour: is not known here'],
    ['GET', '/keys?colour=1', undefined, 400, 'colour: is not known here'],
    ['POST', '/keys', { label: '\u0085', ad_account_ids: ['1'] }, 400, NO_LABEL],
    ['POST', '/keys', { label: '\u2067x', ad_account_ids: ['1'] }, 400, NO_LABEL],
    ['PUT', '/sources/shop', { label: 'a\nb' }, 400, NO_LABEL],
    ['PUT', '/sources/shop', { label: '\udc00' }, 400, NO_LABEL],
    [
      'PUT',
      '/sources/shop',
      { consent: { require: 'a', limit: 'b' } },
      400,
      'consent: must be one of send; consent: must not have more than 1 properties',
    ],
    ['PUT', '/accounts/me', {}, 400, 'id: must be the number of an ad account'],
    ['GET', '/events?limit=0', undefined, 400, 'limit: must be 1 to 1000'],
    ['PUT', settings, { posts_per_minute: -1 }, 400, 'posts_per_minute: must be >= 0'],
    ['PUT', settings, { dob_format: 'x' }, 400, 'dob_format: must be one of DMY,MDY'],
    ['PUT', settings, { label: 'x'.repeat(70_000) }, 413, 'The body is over 65536 bytes.'],
    ['DELETE', `/keys/${'x'.repeat(300)}`, undefined, 414, 'The request is malformed.'],
    ['DELETE', '/sources/none', undefined, 404, 'There is no source none.'],
  ] as const) {
    t.strictSame(await ask(method, path, body), { status, message }, `${method} ${path.slice(0, 40)}`)
  }
  t.equal((await admin('PUT', settings, { label: 'Läden 👨‍👩‍👧 מעצבים' })).status, 200)
  const long = await admin('DELETE', `/keys/${'x'.repeat(300)}`)
  t.strictSame(Object.keys(long.body).toSorted(), ['code', 'message'])
  t.match(await ask('POST', '/events/erase', { order_id: 'a\u0000b' }), { status: 200 }, 'of any characters')
  for (const path of ['/events', '/dead-letters', '/dead-letters/groups']) {
    t.match(await ask('GET', `${path}?order_id=%00`), { status: 200 }, path)
  }
})

t.test(
  'input that is refused has one code, whoever refuses it; a body where none is taken is refused',
  async (t) => {
    const { admin, account, relay } = await enter(t)
    const raw = async (body: string, type = 'application/json') => {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': type }
      const answer = await fetch(`${relay.adminUrl}/keys`, { method: 'POST', headers, body })
      return { status: answer.status, body: await answer.json() }
    }
    const refused = { status: 400, body: { code: 'INVALID_REQUEST' } }
    t.match(await admin('GET', '/events?cursor=x'), refused)
    t.match(await admin('GET', '/dead-letters?cursor=x'), refused)
    t.match(await admin('GET', '/%zz'), refused)
    t.match(await raw('{"a'), refused)
    t.match(await raw(''), refused)
    t.match(await raw(' '.repeat(70_000)), { status: 413, body: { code: 'INVALID_REQUEST' } })
    t.match(await raw('{}', 'text/csv'), { status: 415, body: { code: 'INVALID_REQUEST' } })
    for (const path of ['/reseal', `/accounts/${account}/pause`])
      for (const body of [{ everything: true }, []])
        t.match(await admin('POST', path, body), {
          ...refused,
          body: { message: 'body: must be empty here.' },
        })
    t.match(await admin('POST', '/reseal', {}), { status: 200 })
  },
)

t.test('a token that Pinterest is asked about replaces none that was set meanwhile', async (t) => {
  const { admin, account, sandbox } = await setUp(t, { CALL_TIMEOUT_MS: '1000' })
  sandbox.faults.set([{ kind: 'hang' }])
  const put = (body: object) => admin('PUT', `/accounts/${account}`, body)
  const slow = put({ access_token: 'pina_slow_0001' })
  await until(() => sandbox.faults.list()[0]!.used === 1)
  t.match(await put({ access_token: 'pina_newer_0002', force: true }), { status: 200 })
  t.match(await slow, { status: 400, body: { code: 'INVALID_REQUEST', message: /was replaced by another/ } })
  t.match(await admin('GET', `/accounts/${account}`), { body: { token: { last4: '0002' } } })
})
