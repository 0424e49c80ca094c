import t from 'tap'

import { createConversions } from '../../sandbox/conversions.ts'
import { createJournal } from '../../sandbox/journal.ts'
import { createSandbox } from '../../sandbox/sandbox.ts'
import type { PinterestEvent } from '../../sandbox/schema.ts'
import { ACCOUNT, control, makeEvent, post } from './post.ts'

const entry = (at: number, adAccountId = ACCOUNT) => ({
  at,
  adAccountId,
  isTest: false,
  status: 200,
  userAgent: '',
  tokenLast4: '1234',
  recorded: 0,
})

await t.test('the journal shows what each call was', async (t) => {
  const clock = { nowMs: 1000 }
  const sandbox = await createSandbox({ now: () => clock.nowMs })
  t.teardown(() => sandbox.close())
  const data = [makeEvent({ event_id: 'a' }), makeEvent({ category_name: 'x' })]
  await post(sandbox, { body: { data }, token: 'pina_secret-wxyz', headers: { 'user-agent': 'test/1' } })
  clock.nowMs = 2000
  await post(sandbox, { query: '?test=true' })
  await post(sandbox, { body: 'nonsense', adAccountId: '7', token: null })

  const all = (await control(sandbox, 'GET', 'journal')).body['calls']
  t.strictSame(all, [
    {
      at: 1000,
      adAccountId: ACCOUNT,
      isTest: false,
      status: 400,
      userAgent: 'test/1',
      tokenLast4: 'wxyz',
      eventCount: 2,
      recorded: 0,
      answeredAt: 1000,
      events: data,
    },
    {
      at: 2000,
      adAccountId: ACCOUNT,
      isTest: true,
      status: 200,
      userAgent: 'node',
      tokenLast4: '1234',
      eventCount: 1,
      recorded: 0,
      answeredAt: 2000,
      events: [makeEvent()],
    },
    {
      at: 2000,
      adAccountId: '7',
      isTest: false,
      status: 401,
      userAgent: 'node',
      tokenLast4: '',
      recorded: 0,
      answeredAt: 2000,
    },
  ])
  t.notMatch(JSON.stringify(all), 'secret')
  t.strictSame(sandbox.journal.calls(), all, 'the same in the process, and when read again')

  const count = async (query: string) =>
    ((await control(sandbox, 'GET', `journal?${query}`)).body['calls'] as unknown[]).length
  t.equal(await count('ad_account_id=7'), 1)
  t.equal(await count('since=2000'), 2)
  t.equal(await count('limit=1'), 1)
  t.equal(await count('limit=0'), 0)
  await control(sandbox, 'DELETE', 'journal')
  t.equal(await count(''), 0)
})

await t.test('the journal shows what was recorded, and whether the answer left', async (t) => {
  const clock = { nowMs: 1000 }
  const sandbox = await createSandbox({ now: () => clock.nowMs })
  t.teardown(() => sandbox.close())
  const data = ['a', 'b', 'c'].map((id) => makeEvent({ event_id: id }))
  const last = () => sandbox.journal.calls().at(-1)
  sandbox.faults.set([{ kind: 'failEvents', eventIds: ['b'] }])
  await post(sandbox, { body: { data } })
  t.match(last(), { status: 422, eventCount: 3, recorded: 2, answeredAt: 1000 })

  sandbox.faults.set([{ kind: 'status', status: 503, isRecorded: true }])
  await post(sandbox, { body: { data } })
  t.match(last(), { status: 503, eventCount: 3, recorded: 3, answeredAt: 1000 })

  sandbox.faults.set([{ kind: 'reset', when: 'afterRecording' }])
  await t.rejects(post(sandbox, { body: { data } }))
  t.match(last(), { fault: 'reset', recorded: 3 })
  t.notHas(last(), 'answeredAt')

  sandbox.faults.set([{ kind: 'latency', delayMs: 20 }])
  const posting = post(sandbox, { body: { data } })
  await sandbox.until(() => sandbox.journal.calls().length === 4)
  t.notHas(last(), 'answeredAt', 'not yet')
  clock.nowMs = 3000
  await posting
  t.match(last(), { at: 1000, answeredAt: 3000 })
})

await t.test('the journal lets its oldest calls go', (t) => {
  const ats = (journal: ReturnType<typeof createJournal>) => journal.calls().map(({ at }) => at)
  const byCalls = createJournal({ maxCalls: 3, maxBytes: 1000, keepsEvents: true })
  for (let at = 0; at < 5000; at += 1) byCalls.add(entry(at))
  t.strictSame(ats(byCalls), [4997, 4998, 4999])

  const bySize = createJournal({ maxCalls: 100, maxBytes: 25, keepsEvents: true })
  for (let at = 0; at < 5; at += 1) bySize.add(entry(at), Buffer.alloc(10))
  t.strictSame(ats(bySize), [3, 4])
  bySize.add(entry(5), Buffer.alloc(100))
  t.strictSame(ats(bySize), [5], 'one call that is larger than all the room is kept alone')

  const none = createJournal({ maxCalls: 0, maxBytes: 100, keepsEvents: true })
  none.add(entry(1))
  t.strictSame(ats(none), [])

  const heads = createJournal({ maxCalls: 10, maxBytes: 100, keepsEvents: false })
  heads.add(entry(1), Buffer.from('{"data":[1]}'))
  t.strictSame(heads.calls(), [entry(1)])
  t.end()
})

await t.test('conversions are counted per event id, test calls never', async (t) => {
  const sandbox = await createSandbox()
  t.teardown(() => sandbox.close())
  const data = ['a', 'b', '__proto__'].map((id) => makeEvent({ event_id: id }))
  await post(sandbox, { body: { data } })
  await post(sandbox, { body: { data: data.slice(0, 1) } })
  await post(sandbox, { body: { data }, query: '?test=true' })
  await post(sandbox, { body: { data }, adAccountId: '7' })
  const { body } = await control(sandbox, 'GET', `events?ad_account_id=${ACCOUNT}`)
  t.strictSame(body, {
    adAccountId: ACCOUNT,
    recorded: 4,
    distinct: 3,
    repeated: 1,
    uncounted: 0,
    counts: JSON.parse('{"a":2,"b":1,"__proto__":1}') as object,
  })
  t.strictSame((await control(sandbox, 'GET', `events?ad_account_id=9`)).body['counts'], {})
  t.notHas((await control(sandbox, 'GET', `events?ad_account_id=7&counts=false`)).body, 'counts')
  t.equal((await control(sandbox, 'GET', 'events')).status, 400)
  await control(sandbox, 'DELETE', 'events')
  t.equal(sandbox.conversions.summary(ACCOUNT).recorded, 0)
})

await t.test('many event ids leave in parts, and past the bound they are only counted', async (t) => {
  const sandbox = await createSandbox({ maxEventIds: 50_000 })
  t.teardown(() => sandbox.close())
  for (let index = 0; index < 50_001; index += 1) {
    sandbox.conversions.record(
      ACCOUNT,
      makeEvent({ event_id: `event-${index}` }) as unknown as PinterestEvent,
    )
  }
  const { body } = await control(sandbox, 'GET', `events?ad_account_id=${ACCOUNT}`)
  t.equal(Object.keys(body['counts'] as object).length, 50_000)
  t.match(body, { recorded: 50_001, distinct: 50_000, repeated: 0, uncounted: 1 })
})

await t.test('what is cleared can be counted again', (t) => {
  const conversions = createConversions(1)
  const event = makeEvent() as unknown as PinterestEvent
  conversions.record(ACCOUNT, event)
  conversions.clear()
  conversions.record(ACCOUNT, event)
  t.strictSame(conversions.summary(ACCOUNT), { recorded: 1, distinct: 1, repeated: 0, uncounted: 0 })
  t.end()
})

await t.test('unknown control routes and bodies are refused', async (t) => {
  const sandbox = await createSandbox()
  t.teardown(() => sandbox.close())
  t.equal((await control(sandbox, 'GET', 'nothing')).status, 404)
  t.equal((await control(sandbox, 'DELETE', 'nothing')).status, 404)
  t.equal((await control(sandbox, 'PUT', 'nothing', {})).status, 404)
  t.equal((await control(sandbox, 'POST', 'faults', [])).status, 404)
  t.equal((await control(sandbox, 'PATCH', 'faults', [])).status, 405)
  const response = await fetch(`${sandbox.origin}/_sandbox/faults`, { method: 'PUT', body: '[' })
  t.equal(response.status, 400)
  await response.text()
})
