import t from 'tap'
import { sha256Hex } from '../../src/events/hash.ts'
import { rawEvent } from '../support/events.ts'
import { differencesFromPinterest } from '../support/pinterest-answers.ts'
import { enter, shareRelay } from '../support/relay.ts'

const QUEUED = 'queued by the relay, not yet confirmed by Pinterest'

t.test(
  'a raw event goes in, its hash arrives with the stored token, and the outcome comes back',
  async (t) => {
    const { account, post, sandbox } = await enter(t)
    const { status, body } = await post({ data: [rawEvent({ user_data: { em: ' Person@Example.COM ' } })] })
    t.equal(status, 200)
    t.strictSame(body, {
      num_events_received: 1,
      num_events_processed: 1,
      events: [{ status: 'processed', error_message: '', warning_message: '' }],
    })
    const [call] = sandbox.journal.calls()
    t.match(call, { adAccountId: account, isTest: false, tokenLast4: 'cdef', status: 200 })
    t.match(call?.events, [{ user_data: { em: [sha256Hex('person@example.com')] } }])
  },
)

t.test('bad events cost nothing but themselves', async (t) => {
  const { account, post, sandbox } = await enter(t)
  const { status, body } = await post({ data: [rawEvent(), { event_name: 'checkout' }, rawEvent(), 17] })
  t.equal(status, 422)
  t.match(body, {
    code: 953,
    message: String,
    details: {
      num_events_received: 4,
      num_events_processed: 2,
      events: [
        { status: 'processed', error_message: '' },
        { status: 'failed', error_message: /^action_source/ },
        { status: 'processed', error_message: '' },
        { status: 'failed', error_message: String },
      ],
    },
  })
  t.equal(sandbox.conversions.summary(account).recorded, 2)
})

t.test('what Pinterest refuses is answered with its reason, the rest of the post is delivered', async (t) => {
  const { account, post, sandbox, admin } = await enter(t)
  const events = [rawEvent(), rawEvent({ event_id: 'refuse-me' }), rawEvent()]
  sandbox.faults.set([{ kind: 'failEvents', eventIds: ['refuse-me'], message: 'event too strange' }])
  const { status, body } = await post({ data: events })
  t.equal(status, 422)
  t.match(body.details?.events?.[1], { status: 'failed', error_message: 'event too strange' })
  t.match((await admin('GET', `/totals?ad_account_id=${account}`)).body, {
    received: 3,
    delivered: 2,
    rejected: 1,
    queued: 0,
  })
})

t.test('a huge value that Pinterest complains about costs one event, and is not quoted', async (t) => {
  const { post, sandbox, logLines } = await enter(t)
  const secret = `CANARY ${'x'.repeat(50_000)}`
  const huge = rawEvent({ event_id: 'huge', custom_data: { content_name: secret } })
  sandbox.faults.set([
    { kind: 'failEvents', eventIds: ['huge'], message: `content_name is too long: ${secret}` },
  ])
  const { status, body } = await post({ data: [rawEvent(), huge] })
  t.equal(status, 422)
  t.match(body.details?.events, [
    { status: 'processed' },
    { status: 'failed', error_message: 'content_name is too long: [removed]' },
  ])
  t.equal((await post({ data: [rawEvent()] })).status, 200)
  t.notMatch(logLines.join(''), /CANARY/)
})

t.test('warnings of the relay and of Pinterest are side by side', async (t) => {
  const { post } = await enter(t)
  const event = rawEvent({ user_data: { em: ['person@example.com', 'not-an-email'] } })
  const { status, body } = await post({ data: [{ ...event, unheard_of: 1 }] })
  t.equal(status, 200)
  t.match(body.events?.[0]?.warning_message, /unheard_of: unknown_field/)
  t.match(body.events?.[0]?.warning_message, /user_data\.em\[1\]: unreadable/)
})

t.test('Prefer: respond-async answers 202 as soon as the batch is committed', async (t) => {
  const { account, post, sandbox } = await enter(t)
  sandbox.faults.set([{ kind: 'latency', delayMs: 300 }])
  const { status, body, headers } = await post(
    { data: [rawEvent()] },
    { headers: { prefer: 'respond-async' } },
  )
  t.equal(status, 202)
  t.equal(headers.get('preference-applied'), 'respond-async')
  t.equal(headers.get('relay-queued'), '1')
  t.match(body, { events: [{ status: 'processed', warning_message: QUEUED }] })
  await sandbox.until(() => sandbox.conversions.summary(account).recorded === 1)
})

t.test('after the wait the answer is 202, and the event is delivered later', async (t) => {
  const { account, post, sandbox, admin } = await enter(t)
  sandbox.faults.set([{ kind: 'status', status: 503, times: 1 }])
  const { status, headers } = await post({ data: [rawEvent()] }, { headers: { prefer: 'wait=0' } })
  t.equal(status, 202)
  t.equal(headers.get('preference-applied'), 'wait=0')
  t.equal(headers.get('relay-queued'), '1')
  await sandbox.until(() => sandbox.conversions.summary(account).recorded === 1)
  await t.resolves(sandbox.until(() => true))
  t.match((await admin('GET', `/totals?ad_account_id=${account}`)).body, { received: 1 })
})

const impatient = shareRelay({ ANSWER_WAIT_MS: '0' })

t.test(
  "clients that know only Pinterest: no 202 without Prefer, and no member that is not Pinterest's",
  async (t) => {
    const { account, post, admin, sandbox } = await impatient(t)
    await admin('POST', `/accounts/${account}/pause`)
    const waits = rawEvent()
    const rows: [string, unknown[], string | undefined, number, string | null, string | null][] = [
      ['queued', [rawEvent(), waits], undefined, 200, '2', null],
      ['a preference of another kind', [rawEvent()], 'return=minimal', 200, '1', null],
      ['queued, with Prefer', [rawEvent()], 'respond-async', 202, '1', 'respond-async'],
      ['a duplicate of what is queued', [waits], undefined, 200, '1', null],
      ['some invalid, some queued', [rawEvent(), {}], undefined, 422, '1', null],
      ['the same with Prefer', [rawEvent(), {}], 'wait=0', 422, '1', 'wait=0'],
      ['all invalid', [{}], 'respond-async', 422, null, 'respond-async'],
    ]
    for (const [name, data, prefer, expected, queued, applied] of rows) {
      const { status, headers, body } = await post({ data }, { headers: { ...(prefer && { prefer }) } })
      t.equal(status, expected, `${name}: ${expected}`)
      t.equal(headers.get('relay-queued'), queued, `${name}: Relay-Queued`)
      t.equal(headers.get('preference-applied'), applied, `${name}: Preference-Applied`)
      t.strictSame(differencesFromPinterest(status, body), [], `${name}: the body`)
    }
    await admin('POST', `/accounts/${account}/resume`)
    await sandbox.until(() => sandbox.conversions.summary(account).recorded === 6)
    const delivered = await post({ data: [rawEvent()] }, { headers: { prefer: 'wait=30' } })
    t.match([delivered.status, delivered.headers.get('relay-queued')], [200, null], 'nothing queued')
  },
)

t.test('the strict reading of an answer refuses what Pinterest does not name, at every level', async (t) => {
  const events = [{ status: 'processed', error_message: '', warning_message: '' }]
  const results = { num_events_received: 1, num_events_processed: 1, events }
  const error = { code: 953, message: '' }
  const relay = { queued: 1 }
  const rows: [number, object, boolean][] = [
    [200, results, true],
    [202, results, true],
    [422, { ...error, details: results }, true],
    [503, error, true],
    [202, { ...results, relay }, false],
    [200, { ...results, events: [{ ...events[0], relay }] }, false],
    [200, { ...results, events: [{ status: 'queued' }] }, false],
    [422, { ...error, details: results, relay }, false],
    [422, { ...error, details: { ...results, relay } }, false],
    [422, error, false],
    [503, { ...error, relay }, false],
  ]
  for (const [status, body, isPinterests] of rows)
    t.equal(differencesFromPinterest(status, body).length === 0, isPinterests, JSON.stringify(body))
})

t.test(
  'an event posted again is answered and not sent twice; one that was rejected may come again',
  async (t) => {
    const { account, post, sandbox, admin } = await enter(t)
    const event = rawEvent({ event_id: 'once' })
    t.equal((await post({ data: [event] })).status, 200)
    const again = await post({ data: [event, rawEvent()] })
    t.equal(again.status, 200)
    t.equal(again.body.events?.[0]?.warning_message, 'duplicate')
    t.equal(sandbox.conversions.summary(account).repeated, 0)
    t.match((await admin('GET', `/totals?ad_account_id=${account}`)).body, {
      received: 3,
      delivered: 2,
      duplicate: 1,
    })

    sandbox.faults.set([{ kind: 'failEvents', eventIds: ['mended'], message: 'no', times: 1 }])
    const mended = rawEvent({ event_id: 'mended' })
    t.equal((await post({ data: [mended] })).status, 422)
    t.equal((await post({ data: [mended] })).status, 200)
  },
)

t.test('a repeat of an event that still waits is not answered as delivered', async (t) => {
  const { account, post, sandbox } = await enter(t)
  sandbox.faults.set([{ kind: 'status', status: 503 }])
  const event = rawEvent({ event_id: 'waits' })
  t.equal((await post({ data: [event] }, { headers: { prefer: 'wait=0' } })).status, 202)
  const again = await post({ data: [event] }, { headers: { prefer: 'wait=0' } })
  t.equal(again.status, 202)
  t.equal(again.headers.get('relay-queued'), '1')
  t.match(again.body, { events: [{ status: 'processed', warning_message: 'duplicate' }] })
  sandbox.faults.clear()
  await sandbox.until(() => sandbox.conversions.summary(account).recorded === 1)
})

t.test('bots: filter: their events are answered and counted, and never sent', async (t) => {
  const { account, post, admin, sandbox, logLines } = await enter(t)
  const bot = (client_user_agent: string) =>
    rawEvent({ user_data: { em: 'a@example.com', client_user_agent } })
  const person = (more: object = {}) => rawEvent({ user_data: { em: 'a@example.com' }, ...more })
  const totals = async () => (await admin('GET', `/totals?ad_account_id=${account}`)).body
  const counted = async () =>
    Number(
      new RegExp(
        `pinrelay_account_events_total\\{ad_account_id="${account}",outcome="filtered"\\} (\\d+)`,
      ).exec(String((await admin('GET', '/metrics')).body['text']))?.[1] ?? 0,
    )
  t.equal((await post({ data: [bot('curl/8.5.0')] })).status, 200)
  t.equal(sandbox.conversions.summary(account).recorded, 1, 'send is the default')

  t.match(await admin('PUT', `/accounts/${account}`, { bots: 'filter' }), {
    status: 200,
    body: { bots: 'filter' },
  })
  const only = await post({ data: [bot('curl/8.5.0')] })
  t.equal(only.status, 200)
  t.strictSame(only.body, {
    num_events_received: 1,
    num_events_processed: 1,
    events: [
      {
        status: 'processed',
        error_message: '',
        warning_message: 'filtered; user_data.client_user_agent: bot_user_agent',
      },
    ],
  })
  const again = person({ event_id: 'again' })
  t.equal((await post({ data: [again] })).status, 200)
  const mixed = await post({ data: [bot('Googlebot/2.1'), person(), {}, again, bot('axios/1.0')] })
  t.equal(mixed.status, 422)
  t.match(mixed.body.details?.events, [
    { status: 'processed', warning_message: /^filtered; / },
    { status: 'processed', warning_message: '' },
    { status: 'failed' },
    { status: 'processed', warning_message: 'duplicate' },
    { status: 'processed', warning_message: /^filtered; / },
  ])
  t.match(logLines.at(-1), /"filtered":2\b/)
  t.same(await totals(), {
    received: 7,
    delivered: 3,
    rejected: 0,
    expired: 0,
    filtered: 3,
    queued: 0,
    duplicate: 1,
    invalid: 1,
  })
  t.equal(await counted(), 3)
  t.equal(sandbox.conversions.summary(account).recorded, 3)
  const { rows } = (await admin('GET', `/match-quality?ad_account_id=${account}`)).body as {
    rows: { shares: { filtered: number } }[]
  }
  t.equal(rows[0]?.shares.filtered, Number((3 / 7).toFixed(4)))

  t.match(await admin('PUT', `/accounts/${account}`, { bots: null }), { body: { bots: 'send' } })
  t.equal((await post({ data: [bot('curl/8.5.0')] })).status, 200)
  t.equal(sandbox.conversions.summary(account).recorded, 4)
  t.match(await admin('PUT', `/accounts/${account}`, { bots: 'drop' }), { status: 400 })
})

t.test('test events are marked, not recorded, and may be repeated', async (t) => {
  const { account, post, sandbox } = await enter(t)
  const event = rawEvent({ event_time: 1451431341, event_id: 'eventId0001' })
  for (const value of ['true', 'True', '1']) {
    const { status, body } = await post({ data: [event] }, { query: `?test=${value}` })
    t.equal(status, 200)
    t.notMatch(body.events?.[0]?.warning_message, /duplicate/)
  }
  t.equal(sandbox.conversions.summary(account).recorded, 0)
  t.ok(sandbox.journal.calls().every(({ isTest }) => isTest))
  for (const value of ['false', 'False', '0']) {
    t.equal((await post({ data: [rawEvent()] }, { query: `?test=${value}` })).status, 200)
  }
  t.equal(sandbox.conversions.summary(account).recorded, 3)
})

t.test('the habits of the official Python client work unchanged', async (t) => {
  const { post, sandbox } = await enter(t)
  const nulls = {
    event_source_url: null,
    opt_out: null,
    partner_name: null,
    app_id: null,
    app_name: null,
    app_version: null,
    device_brand: null,
    device_carrier: null,
    device_model: null,
    device_type: null,
    os_version: null,
    wifi: null,
    language: null,
  }
  const event = {
    ...nulls,
    ...rawEvent({ action_source: 'app_ios', event_time: 1451431341, event_id: 'eventId0001' }),
    user_data: {
      em: ['411e44ce1261728ffd2c0686e44e3fffe413c0e2c5adc498bc7da883d476b9c8'],
      ph: null,
      ge: null,
      client_ip_address: '216.3.128.12',
      client_user_agent: 'Mozilla/5.0 (platform; rv:geckoversion) Gecko/geckotrail Firefox/firefoxversion',
      click_id: null,
      partner_id: null,
    },
    custom_data: {
      currency: 'USD',
      value: '72.39',
      content_ids: ['red-pinterest-shirt-logo-1'],
      np: null,
      num_items: 2,
    },
  }
  const { status, body } = await post(
    { data: [event] },
    { query: '?test=True', headers: { 'user-agent': 'pins-sdk/python/v0.2.4', accept: 'application/json' } },
  )
  t.equal(status, 200)
  t.match(body, { num_events_processed: 1, events: [{ status: 'processed' }] })
  const sent = JSON.stringify(sandbox.journal.calls()[0]?.events)
  t.notMatch(sent, /null/)
})
