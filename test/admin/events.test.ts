/** The event trail on the admin port, over a whole relay: found, followed, erased. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { createFollowers } from '../../src/admin/events.ts'
import { systemClock } from '../../src/clock.ts'
import type { TrailEvent } from '../../src/store/trail.ts'
import { rawEvent } from '../support/events.ts'
import { ADMIN_TOKEN, enter, setUp, type Guest } from '../support/relay.ts'

type Listed = Readonly<Record<string, unknown>>

async function find({ admin, account }: Guest, query: string): Promise<readonly Listed[]> {
  const { status, body } = await admin('GET', `/events?ad_account_id=${account}&${query}`)
  return status === 200 ? (body['events'] as readonly Listed[]) : [{ status, ...body }]
}

/** Asks again and again until there is an answer. */
async function until<Answer>(ask: () => Promise<Answer | undefined>): Promise<Answer> {
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await pause(20)
  }
}

const order = (event_id: string, order_id: unknown, more: object = {}) => {
  const event = rawEvent({ event_id, ...more })
  return { ...event, custom_data: { ...event.custom_data, order_id } }
}

t.test('what happened to order 4711: its event is found by either id, with its way', async (t) => {
  const stand = await enter(t)
  const data = [order('e-1', 4711), order('e-2', 4712, { action_source: 'fax' })]
  t.equal((await stand.post({ data })).status, 422)
  const found = await until(async () => {
    const events = await find(stand, 'order_id=4711')
    return events[0]?.['outcome'] === 'delivered' ? events : undefined
  })
  const time = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/
  t.match(found, [
    {
      ad_account_id: stand.account,
      test: false,
      event_name: 'checkout',
      event_id: 'e-1',
      order_id: '4711',
      outcome: 'delivered',
      reason: null,
      attempts: 1,
      event_time: time,
      received_at: time,
      updated_at: time,
      source: null,
      key_id: /^[0-9a-f-]{36}$/,
      call_id: /^[0-9a-f]{8}-\w+$/,
      history: ['received', 'committed', 'called', 'delivered'].map((reason) => ({ at: time, reason })),
    },
  ])
  t.ok(
    stand.logLines.some((line) => line.includes(`"call_id":"${String(found[0]!['call_id'])}"`)),
    'the log has the call by the same id',
  )
  t.match(await find(stand, 'event_id=e-2'), [
    { outcome: 'invalid', reason: 'unknown_action_source', order_id: '4712', attempts: 0, call_id: null },
  ])
  t.match(await find(stand, 'outcome=invalid&limit=1'), [{ event_id: 'e-2' }])
  t.same(await find(stand, 'event_id=none'), [])
  t.same(await find(stand, 'until=2020-01-01'), [])
  t.match(await find(stand, 'since=1600000000&event_name=checkout&test=false'), { length: 2 })
  for (const query of ['cursor=x', 'outcome=lost', 'since=2020-13-45', 'limit=0'])
    t.match(await find(stand, query), [{ status: 400 }], query)
})

t.test('duplicates, filtered events and posts of which nothing is kept are found, too', async (t) => {
  const stand = await enter(t)
  await stand.admin('PUT', `/accounts/${stand.account}`, { bots: 'filter' })
  const bot = order('bot', 1)
  const user_data = {
    em: ['a@example.com'],
    client_user_agent: 'Googlebot/2.1 (+http://www.google.com/bot.html)',
  }
  await stand.post({ data: [order('e', 2)] })
  await stand.post({ data: [order('e', 2)] })
  await stand.post({ data: [{ ...bot, user_data }] })
  await stand.post({ data: [{ event_id: 'bad' }] })
  const outcomes = await until(async () => {
    const events = await find(stand, 'limit=10')
    return events.length === 4 ? events.map((event) => [event['event_id'], event['outcome']]) : undefined
  })
  t.same(outcomes, [
    ['bad', 'invalid'],
    ['bot', 'filtered'],
    ['e', 'duplicate'],
    ['e', 'delivered'],
  ])
})

t.test('who follows the trail is sent events as they come and change, until the relay ends', async (t) => {
  const stand = await setUp(t)
  const response = await fetch(`${stand.relay.adminUrl}/events/live?event_name=checkout`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  })
  t.match(response.headers.get('content-type'), 'text/event-stream')
  let text = ''
  const reading = (async () => {
    for await (const part of response.body!) text += Buffer.from(part).toString()
  })()
  await until(async () => text !== '' || undefined)
  await stand.post({ data: [order('e-1', 1), order('e-2', 2, { event_name: 'signup' })] })
  await until(async () => text.includes('"delivered"') || undefined)
  const events = text.split('\n\n').flatMap((message) => /^data: (.*)$/.exec(message)?.[1] ?? [])
  t.match(JSON.parse(events.at(-1)!), { event_id: 'e-1', outcome: 'delivered', order_id: '1' })
  t.notMatch(text, 'signup')
  await stand.relay.close()
  await reading
})

t.test('a stream that a browser follows ends with its session', async (t) => {
  const stand = await enter(t)
  const url = stand.relay.adminUrl
  const login = await fetch(`${url}/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ admin_token: ADMIN_TOKEN }),
  })
  const { session_key: key } = (await login.json()) as { session_key: string }
  const headers = {
    cookie: login.headers.getSetCookie()[0]!.split(';')[0]!,
    'x-pinrelay-session-key': key,
  }
  const reader = (await fetch(`${url}/events/live`, { headers })).body!.getReader()
  t.notOk((await reader.read()).done, 'while the session goes on')
  await fetch(`${url}/session`, { method: 'DELETE', headers })
  while (!(await reader.read()).done);
})

t.test(
  'all who follow share one reading, and who does not read is left out of what is too much',
  async (t) => {
    let readings = 0
    const some: TrailEvent = {
      adAccountId: '1',
      isTest: false,
      eventName: 'checkout',
      eventId: 'i'.repeat(500),
      orderId: undefined,
      eventTimeS: undefined,
      outcome: 'queued',
      reason: undefined,
      warnings: [],
      attempts: 0,
      receivedAtMs: 0,
      updatedAtMs: 0,
      source: undefined,
      keyId: undefined,
      callId: undefined,
      history: [],
    }
    const events = Array.from({ length: 1000 }, () => some)
    const store = {
      trailChanges: async (from: number | undefined) => {
        readings += 1
        return { events: from === undefined ? [] : events, position: readings }
      },
    }
    const followers = createFollowers({ store, delivery: { queues: () => [] }, clock: systemClock })
    const streams = Array.from({ length: 20 }, () => followers.add({}, Infinity))
    const texts = streams.slice(1).map(async (stream) => {
      let bytes = 0
      for await (const part of stream) bytes += Buffer.byteLength(part as Buffer)
      return bytes
    })
    await until(async () => readings >= 4 || undefined)
    followers.end()
    const bytes = await Promise.all(texts)
    t.ok(readings < 20, `${readings} readings`)
    t.equal(new Set(bytes).size, 1, 'all have the same')
    t.ok(streams[0]!.readableLength < bytes[0]!, 'but the one that does not read')
    const late = followers.add({}, 1)
    t.same(await late.toArray(), [], 'ends with the relay')
  },
)

t.test('who follows does not keep the relay from ending where the store hangs', async (t) => {
  const store = { trailChanges: () => new Promise<never>(() => {}) }
  const followers = createFollowers({ store, delivery: { queues: () => [] }, clock: systemClock })
  const stream = followers.add({}, Infinity)
  followers.end()
  t.same(await stream.toArray(), [])
})

t.test('erasing takes what waits and what died, is audited, and leaves the totals right', async (t) => {
  const stand = await enter(t)
  const { admin, account, sandbox } = stand
  sandbox.faults.set([{ kind: 'failEvents', message: 'no' }])
  await stand.post({ data: [order('died', 'o-1')] })
  sandbox.faults.clear()
  await admin('POST', `/accounts/${account}/pause`)
  await stand.post(
    { data: [order('waits', 'o-2'), order('stays', 'o-3')] },
    { headers: { prefer: 'respond-async' } },
  )
  const erase = async (body: object) => (await admin('POST', '/events/erase', body)).body
  t.match(await erase({ order_id: 'o-1', ad_account_id: account }), { queued: 0, dead_letters: 1, leased: 0 })
  const queued = await until(async () => {
    const answer = await erase({ event_id: 'waits' })
    return answer['leased'] === 0 ? answer : undefined
  })
  t.match(queued, { queued: 1, dead_letters: 0 })
  t.match(await find(stand, 'event_id=waits'), [{ outcome: 'erased', order_id: 'o-2' }])
  t.match(await find(stand, 'event_id=died'), [{ outcome: 'erased' }])
  const totals = (await admin('GET', `/totals?ad_account_id=${account}`)).body
  t.match(totals, { received: 3, rejected: 1, filtered: 1, queued: 1 })
  const hidden = /^hmac:[0-9a-f]{16}$/
  t.match((await admin('GET', '/audit?id=waits&limit=2')).body, {
    entries: [
      { action: 'erased', details: { event_id: hidden, queued: 1 } },
      { action: 'erase', details: { event_id: hidden } },
    ],
  })
  await admin('POST', '/dead-letters/purge', { filter: { order_id: 'o-1' } })
  t.match((await admin('GET', '/audit?id=o-1')).body, {
    entries: [
      { action: 'purged', details: { order_id: hidden, purged: 0 } },
      { action: 'purge', details: { order_id: hidden } },
      { action: 'erased', details: { order_id: hidden, dead_letters: 1 } },
      { action: 'erase' },
    ],
  })
  t.match((await admin('GET', '/audit?id=o-9')).body, { entries: { length: 0 } })
  t.notMatch(JSON.stringify((await admin('GET', '/audit')).body), /"waits"|"o-1"|sha256/)
  const longest = 'i'.repeat(512)
  t.match(await erase({ event_id: longest }), { queued: 0 }, 'as long as an event id may be')
  t.same(await find(stand, `event_id=${longest}`), [])
  t.match((await admin('GET', `/dead-letters?event_id=${longest}`)).status, 200)
  await stand.post({ data: [order('odd', '4711\t\0')] }, { headers: { prefer: 'respond-async' } })
  t.match(await find(stand, 'order_id=4711%09%00'), [{ event_id: 'odd' }])
  t.match(
    await until(async () => ((await erase({ order_id: '4711\t\0' }))['leased'] === 0 ? true : undefined)),
    true,
  )
  t.match(await find(stand, 'event_id=odd'), [{ outcome: 'erased' }])
  t.match(await erase({}), { code: 'INVALID_REQUEST' })
  await admin('POST', `/accounts/${account}/resume`)
  await until(async () => (await find(stand, 'event_id=stays'))[0]?.['outcome'] === 'delivered' || undefined)
  const sent = JSON.stringify(sandbox.journal.calls({ adAccountId: account }))
  t.match(sent, 'stays')
  t.notMatch(sent, 'waits')
})

t.test('with TRAIL_HOURS=0 there is no trail, and the rest works', async (t) => {
  const stand = await setUp(t, { TRAIL_HOURS: '0' })
  t.equal((await stand.post({ data: [order('e', 1)] })).status, 200)
  t.same(await find(stand, 'limit=10'), [])
  t.match((await stand.admin('POST', '/events/erase', { event_id: 'e' })).body, { queued: 0 })
})
