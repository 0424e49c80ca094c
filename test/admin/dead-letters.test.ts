import assert from 'node:assert/strict'
import t from 'tap'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, enter, setUp, type Guest } from '../support/relay.ts'

interface DeadLetter {
  readonly id: number
  readonly event_id: string
  readonly message: string
  readonly history: readonly { readonly at: string; readonly reason: string }[]
}

/** Posts an event for each id, all of which Pinterest refuses. */
async function reject({ sandbox, post }: Guest, ids: readonly string[], query = ''): Promise<void> {
  sandbox.faults.set([{ kind: 'failEvents', message: 'Value person@example.com is wrong.' }])
  const data = ids.map((event_id) => rawEvent({ event_id }))
  assert.equal((await post({ data }, { query })).status, 422)
  sandbox.faults.clear()
}

async function list(
  { admin }: Guest,
  query = '',
): Promise<{ deadLetters: DeadLetter[]; cursor: string | null }> {
  const { status, body } = await admin('GET', `/dead-letters${query}`)
  assert.equal(status, 200)
  return { deadLetters: body['dead_letters'] as DeadLetter[], cursor: body['next_cursor'] as string | null }
}

const idsOf = (deadLetters: readonly DeadLetter[]) => deadLetters.map(({ event_id }) => event_id)

t.test(
  "an id that the event shows to be its customer's is left out, also where there is no event trail",
  async (t) => {
    const stand = await setUp(t, { TRAIL_HOURS: '0' })
    stand.sandbox.faults.set([{ kind: 'failEvents' }])
    const user_data = { em: 'h@example.com', ph: '(650) 555-0155', fn: 'Herberta', ln: 'Quillfeather' }
    const event = rawEvent({ event_id: '6505550155', user_data })
    const custom_data = { ...event.custom_data, order_id: 'Herberta-Quillfeather' }
    await stand.post({ data: [event, { ...event, event_id: 'named', custom_data }] })
    stand.sandbox.faults.clear()
    const { deadLetters } = await list(stand)
    t.match(deadLetters, [
      { event_id: 'named', order_id: null },
      { event_id: null, order_id: null },
    ])
    t.match((await list(stand, '?event_id=6505550155')).deadLetters, [{ id: deadLetters[1]!.id }])
    const filter = { event_id: '6505550155' }
    t.match((await stand.admin('POST', '/dead-letters/replay', { filter })).body, { replayed: 1 })
    const isSent = () => stand.sandbox.conversions.counts(ACCOUNT).get('6505550155') === 1
    t.ok(await until(isSent), 'and is sent with it')
  },
)

t.test('a dead letter shows what an operator needs, and nothing else of the event', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await reject(stand, ['a'])
  const { deadLetters, cursor } = await list(stand)
  t.equal(cursor, null)
  t.match(deadLetters, [
    {
      id: Number,
      ad_account_id: account,
      is_test: false,
      event_name: 'checkout',
      event_id: 'a',
      order_id: null,
      status: 'rejected',
      reason: 'rejected_event',
      message: /^Value .* is wrong\.$/,
      attempts: 1,
      first_seen_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
      died_at: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
      history: Array,
    },
  ])
  t.strictSame(Object.keys(deadLetters[0]!).length, 13)
  const text = JSON.stringify(deadLetters)
  for (const value of ['person@example.com', '203.0.113.7', 'Mozilla', 'USD', '72.39']) {
    t.notMatch(text, value, value)
  }
  for (const { at, reason } of deadLetters[0]!.history) {
    t.ok(Date.parse(at) > 0)
    t.match(reason, /^[a-z0-9_]+$/)
  }
})

t.test('dead letters are filtered, and listed page by page, newest first', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await reject(stand, ['a', 'b', 'c'])
  await reject(stand, ['t'], '?test=true')
  t.strictSame(idsOf((await list(stand)).deadLetters), ['t', 'c', 'b', 'a'])
  const first = await list(stand, '?limit=3')
  t.strictSame(idsOf(first.deadLetters), ['t', 'c', 'b'])
  const second = await list(stand, `?limit=3&cursor=${first.cursor}`)
  t.strictSame(idsOf(second.deadLetters), ['a'])
  t.equal(second.cursor, null)
  t.equal((await list(stand, '?limit=4')).cursor, null, 'a full last page is known to be the last')
  for (const [query, ids] of [
    ['?test=true', ['t']],
    ['?test=false&limit=1', ['c']],
    [`?ad_account_id=${account}&status=rejected&event_name=checkout&limit=2`, ['t', 'c']],
    ['?ad_account_id=1', []],
    ['?status=expired', []],
    ['?reason=too_old', []],
    ['?event_name=lead', []],
    ['?event_id=b', ['b']],
    ['?order_id=b', []],
  ] as const) {
    t.strictSame(idsOf((await list(stand, query)).deadLetters), ids, query)
  }
})

t.test(
  'dead letters are counted by reason and message, and a dry run of a replay changes nothing',
  async (t) => {
    const stand = await setUp(t, { MAX_EVENT_AGE_HOURS: '24' })
    const { admin, sandbox } = stand
    sandbox.faults.set([{ kind: 'failEvents', message: 'One reason.' }])
    const old = rawEvent({ event_time: Math.floor(Date.now() / 1000) - 7 * 3600 })
    await stand.post({ data: [old, rawEvent(), rawEvent({ event_name: 'signup' })] })
    sandbox.faults.set([{ kind: 'failEvents', message: 'Another one.' }])
    await stand.post({ data: [rawEvent()] }, { query: '?test=true' })
    sandbox.faults.clear()
    await stand.restart({ MAX_EVENT_AGE_HOURS: '6' })
    const rejected = { status: 'rejected', reason: 'rejected_event', accounts: 1 }
    t.match((await admin('GET', '/dead-letters/groups')).body, {
      groups: [
        { ...rejected, message: 'One reason.', dead_letters: 3, too_old: 1 },
        { ...rejected, message: 'Another one.', dead_letters: 1, too_old: 0 },
      ],
      dead_letters: 4,
      next_cursor: null,
    })
    t.match((await admin('GET', '/dead-letters/groups?event_name=signup&test=false')).body, {
      groups: [{ message: 'One reason.', dead_letters: 1 }],
    })
    const dry = { replayed: 3, duplicates: 0, too_old: 1, next_cursor: null }
    const ask = async (body: object) => (await admin('POST', '/dead-letters/replay', body)).body
    t.strictSame(await ask({ filter: {}, dry_run: true }), dry)
    const { deadLetters } = await list(stand)
    t.equal(deadLetters.length, 4)
    t.notMatch(JSON.stringify((await admin('GET', '/audit')).body), '"replay"')
    const [first, second] = deadLetters
    t.match(await ask({ ids: [first!.id, second!.id], dry_run: true }), { replayed: 2 })
    t.match(await ask({ filter: {}, limit: 2, dry_run: true }), { replayed: 2, next_cursor: String })
    t.strictSame(await ask({ filter: {} }), dry, 'the replay does what the dry run said')
  },
)

t.test(
  'replayed dead letters are delivered under their own ids, and leave the list and the totals as rejected',
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    const { admin, sandbox } = stand
    await reject(stand, ['a', 'b', 'c'])
    const { deadLetters } = await list(stand)
    const chosen = deadLetters.filter(({ event_id }) => event_id !== 'b').map(({ id }) => id)
    t.strictSame((await admin('POST', '/dead-letters/replay', { ids: chosen })).body, {
      replayed: 2,
      duplicates: 0,
      too_old: 0,
      next_cursor: null,
    })
    await sandbox.until(() => sandbox.conversions.summary(account).recorded === 2)
    t.strictSame([...sandbox.conversions.counts(account).keys()].toSorted(), ['a', 'c'])
    t.strictSame(idsOf((await list(stand)).deadLetters), ['b'])
    await until(async () => (await admin('GET', `/totals?ad_account_id=${account}`)).body['queued'] === 0)
    t.match((await admin('GET', `/totals?ad_account_id=${account}`)).body, {
      received: 3,
      delivered: 2,
      rejected: 1,
      duplicate: 0,
    })
    const found = await admin('GET', `/events?ad_account_id=${account}&event_id=a&outcome=delivered`)
    const [{ history }] = found.body['events'] as [{ history: { reason: string }[] }]
    const way = ['rejected_event', 'replayed', 'committed', 'called', 'delivered']
    t.strictSame(
      history.map(({ reason }) => reason),
      way,
      'with what it died of before, in the order of time',
    )
  },
)

t.test('what dies again is a new dead letter, with the history of the old one', async (t) => {
  const stand = await enter(t)
  await reject(stand, ['a'])
  const [before] = (await list(stand)).deadLetters
  stand.sandbox.faults.set([{ kind: 'failEvents' }])
  t.match((await stand.admin('POST', '/dead-letters/replay', { filter: {} })).body, { replayed: 1 })
  await until(async () => (await list(stand)).deadLetters.length === 1)
  const [again] = (await list(stand)).deadLetters
  t.ok(again!.id > before!.id)
  t.match(again, { event_id: 'a', attempts: 2 })
  t.ok(again!.history.some(({ reason }) => reason === 'replayed'))
})

t.test('an event that was posted again is not sent twice', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await reject(stand, ['a', 'b'])
  t.equal((await stand.post({ data: [rawEvent({ event_id: 'a' })] })).status, 200)
  t.match((await stand.admin('POST', '/dead-letters/replay', { filter: { test: false } })).body, {
    replayed: 1,
    duplicates: 1,
  })
  await stand.sandbox.until(() => stand.sandbox.conversions.summary(account).recorded === 2)
  t.equal(stand.sandbox.conversions.summary(account).repeated, 0)
})

t.test('a replay or purge does its share, and continues at its cursor', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const { admin } = stand
  await reject(
    stand,
    Array.from({ length: 450 }, (_, n) => `event-${n}`),
  )
  const body = { filter: {}, limit: 300 }
  const first = (await admin('POST', '/dead-letters/replay', body)).body
  t.match(first, { replayed: 300, next_cursor: /^\d+$/ })
  const second = (await admin('POST', '/dead-letters/replay', { ...body, cursor: first['next_cursor'] })).body
  t.match(second, { replayed: 150, next_cursor: null })
  await stand.sandbox.until(() => stand.sandbox.conversions.summary(account).recorded === 450)

  await reject(stand, ['u', 'v', 'w'])
  const [, { id: middle } = { id: 0 }] = (await list(stand)).deadLetters
  t.match((await admin('POST', '/dead-letters/purge', { filter: {}, cursor: String(middle) })).body, {
    purged: 1,
  })
  t.strictSame(idsOf((await list(stand)).deadLetters), ['w', 'v'], 'only what comes behind the cursor')
  t.match((await admin('POST', '/dead-letters/purge', { filter: {} })).body, { purged: 2 })

  await reject(stand, ['x', 'y', 'z'])
  const part = (await admin('POST', '/dead-letters/purge', { filter: {}, limit: 2 })).body
  t.match(part, { purged: 2, next_cursor: /^\d+$/ })
  t.strictSame(idsOf((await list(stand)).deadLetters), ['x'])
  const rest = { filter: { reason: 'rejected_event' }, cursor: part['next_cursor'] }
  t.strictSame((await admin('POST', '/dead-letters/purge', rest)).body, { purged: 1, next_cursor: null })
  t.match((await admin('GET', `/totals?ad_account_id=${account}`)).body, {
    received: 456,
    delivered: 450,
    rejected: 6,
    queued: 0,
  })
})

const badBodies: [string, unknown, RegExp][] = [
  ['nothing', {}, /ids, filter/],
  ['both', { ids: [1], filter: {} }, /ids, filter/],
  ['no ids', { ids: [] }, /^ids: /],
  ['ids that are none', { ids: [1, 'secret'] }, /^ids\.1: /],
  ['ids below nothing', { ids: [0] }, /^ids\.0: /],
  ['a filter that is none', { filter: [] }, /^filter: /],
  ['an unknown field of the filter', { filter: { event_ID: 'secret' } }, /^filter\.event_ID: /],
  ['an account that is none', { filter: { ad_account_id: 'secret' } }, /^filter\.ad_account_id: /],
  ['a status that is none', { filter: { status: 'secret' } }, /^filter\.status: /],
  ['test as a text', { filter: { test: 'true' } }, /^filter\.test: /],
  ['a limit of nothing', { filter: {}, limit: 0 }, /^limit: /],
  ['a cursor that is none', { filter: {}, cursor: 'secret' }, /^cursor: /],
  ['no object', ['secret'], /^body: /],
]
t.test('bad input is named by its field, never by its value, and changes nothing', async (t) => {
  const stand = await enter(t)
  await reject(stand, ['a'])
  for (const [name, body, pattern] of badBodies) {
    for (const path of ['/dead-letters/replay', '/dead-letters/purge']) {
      const answer = await stand.admin('POST', path, body)
      t.equal(answer.status, 400, `${path}: ${name}`)
      t.match(answer.body['message'], pattern, name)
      t.notMatch(JSON.stringify(answer.body), 'secret')
    }
  }
  t.equal((await stand.admin('POST', '/dead-letters/purge')).status, 400, 'no body is not all')
  for (const query of ['limit=0', 'limit=1001', 'cursor=x', 'status=x', 'test=1', 'event=a', 'reason=']) {
    t.equal((await stand.admin('GET', `/dead-letters?${query}`)).status, 400, query)
  }
  t.strictSame(idsOf((await list(stand)).deadLetters), ['a'])
})
