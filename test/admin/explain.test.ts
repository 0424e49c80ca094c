import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, ADMIN_TOKEN, enter, setUp } from '../support/relay.ts'

const NO_NAME = 'must be a name without control characters, or white space at its ends'

t.test('explain shows what would be sent, and sends, stores, logs and audits nothing', async (t) => {
  const { account, admin, sandbox, logLines } = await enter(t)
  const data = [
    rawEvent({ user_data: { em: 'Jane.Roe@example.com', db: '1990-03-07' } }),
    { event_name: 'checkout' },
  ]
  const { status, body } = await admin('POST', `/explain?ad_account_id=${account}`, { data })
  t.equal(status, 200)
  t.match(body, {
    ad_account_id: account,
    events: [
      {
        index: 0,
        status: 'prepared',
        fields: [{ path: 'user_data.em', given: 'J•••.•••@e••••••.com' }, { field: 'db' }],
      },
      { index: 1, status: 'invalid', reason: 'missing_field', path: 'action_source' },
    ],
  })
  t.equal(sandbox.journal.calls().length, 0)
  t.match((await admin('GET', `/totals?ad_account_id=${account}`)).body, { received: 0, invalid: 0 })
  t.notMatch(JSON.stringify((await admin('GET', '/audit')).body), 'explain')
  t.notMatch(logLines.join(''), /Jane|1990/)
})

t.test('the account counts: its country, its limits, and that it is there', async (t) => {
  const { account, admin } = await enter(t)
  await admin('PUT', `/accounts/${account}`, { country: 'GB', dob_format: 'DMY' })
  const event = rawEvent({ user_data: { em: 'a@example.com', ph: '07700 900123', db: '03/04/1990' } })
  const { body } = await admin('POST', `/explain?ad_account_id=${account}`, { data: [event] })
  t.match(body, {
    events: [
      { fields: [{}, { field: 'ph', normalized: '4•••••••••••' }, { field: 'db', normalized: '1•••••••' }] },
    ],
  })
  const old = { ...event, event_time: 1_000_000_000 }
  const asTest = await admin('POST', `/explain?ad_account_id=${account}&test=true`, { data: [old] })
  t.match(asTest.body, { events: [{ status: 'prepared' }] })
  t.match((await admin('POST', `/explain?ad_account_id=${account}`, { data: [old] })).body, {
    events: [{ status: 'invalid', reason: 'too_old' }],
  })
  await admin('PUT', `/accounts/${account}`, { event_names: { Kauf: 'checkout' } })
  const own = { data: [{ ...event, event_name: 'Kauf' }] }
  t.match((await admin('POST', `/explain?ad_account_id=${account}`, own)).body, {
    events: [{ status: 'prepared', event_name: 'checkout', warnings: [] }],
  })
  for (const [names, message] of [
    [{ '': 'checkout' }, NO_NAME],
    [{ 'Kauf ': 'checkout' }, `event_names.Kauf : ${NO_NAME}`],
    [{ 'a\nb': 'checkout' }, NO_NAME],
    [{ ['x'.repeat(129)]: 'checkout' }, 'must not have more than 128 characters'],
    [{ Kauf: '' }, `event_names.Kauf: ${NO_NAME}`],
    [{ Kauf: ' checkout' }, `event_names.Kauf: ${NO_NAME}`],
    [{ Kauf: 'a\nb' }, NO_NAME],
    [{ Kauf: 'x'.repeat(129) }, 'event_names.Kauf: must not have more than 128 characters'],
  ] as const) {
    const refusal = await admin('PUT', `/accounts/${account}`, { event_names: names })
    t.match(refusal, { status: 400, body: { message } })
  }
  await admin('PUT', `/accounts/${account}`, { bots: 'filter' })
  const bot = rawEvent({ user_data: { em: 'a@example.com', client_user_agent: 'curl/8.5.0' } })
  t.match((await admin('POST', `/explain?ad_account_id=${account}`, { data: [bot, event] })).body, {
    events: [
      {
        status: 'filtered',
        event_name: 'checkout',
        event_id: String,
        reason: 'bot_user_agent',
        path: 'user_data.client_user_agent',
        warnings: [{ code: 'bot_user_agent' }],
        json: null,
      },
      { status: 'prepared' },
    ],
  })
  t.equal((await admin('POST', '/explain?ad_account_id=1', { data: [event] })).status, 404)
  t.equal((await admin('POST', `/explain?ad_account_id=${account}`, { data: [] })).status, 400)
  const many = Array.from({ length: 500 }, () => event)
  t.equal(
    (await admin('POST', `/explain?ad_account_id=${account}`, { data: many })).status,
    200,
    'as large as a post',
  )
})

t.test('what cannot be read is refused before anything is answered', async (t) => {
  const { relay } = await setUp(t)
  const explain = (data: string) =>
    fetch(`${relay.adminUrl}/explain?ad_account_id=${ACCOUNT}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: `{"data":[${data}]}`,
    })
  const event = JSON.stringify(rawEvent())
  const keys = Array.from({ length: 1001 }, (_, n) => `"k${n}":1`).join(',')
  const rows: [data: string, message: string][] = [
    [`${event},{"a":}`, 'data[1]: is not JSON.'],
    [`${event},{"user_data":{${keys}}}`, 'data[1].user_data: must hold at most 1000 keys.'],
  ]
  for (const [data, message] of rows) {
    const answer = await explain(data)
    t.equal(answer.status, 400)
    t.same(await answer.json(), { code: 'INVALID_REQUEST', message })
  }
  const withUnknown = await fetch(`${relay.adminUrl}/explain?ad_account_id=${ACCOUNT}&account=1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: `{"data":[${event}]}`,
  })
  t.equal(withUnknown.status, 400, 'the query is checked, too')
  const answer = await explain(`${event},5,[${event}]`)
  t.match(answer.headers.get('content-type'), /^application\/json/)
  t.match(await answer.json(), {
    events: [{ status: 'prepared' }, { status: 'invalid' }, { status: 'invalid', reason: 'not_an_object' }],
  })
})

t.test('a body of unknown keys does not make an answer of its size', async (t) => {
  const { admin } = await setUp(t)
  const unknown = Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`k${n}`, 1]))
  const { status, body } = await admin('POST', '/keys', unknown)
  t.equal(status, 400)
  t.ok(String(body['message']).length < 2000)
})
