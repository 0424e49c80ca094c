import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { enter } from '../support/relay.ts'

t.test('explain tells what would be sent, and sends, stores, logs and audits nothing', async (t) => {
  const { account, admin, sandbox, logLines } = await enter(t)
  const data = [
    rawEvent({ user_data: { em: 'Jane.Roe@example.com', db: '1990-03-07' } }),
    { event_name: 'checkout' },
  ]
  const { status, body } = await admin('POST', '/explain', { ad_account_id: account, data })
  t.equal(status, 200)
  t.match(body, {
    ad_account_id: account,
    events: [
      {
        index: 0,
        status: 'prepared',
        fields: [{ path: 'user_data.em', given: 'J•••.•••@e••••••.com' }, { field: 'db' }],
      },
      { index: 1, status: 'refused', reason: 'missing_field', path: 'action_source' },
    ],
  })
  t.equal(sandbox.journal.calls().length, 0)
  t.match((await admin('GET', `/books?ad_account_id=${account}`)).body, { received: 0, refused: 0 })
  t.notMatch(JSON.stringify((await admin('GET', '/audit')).body), 'explain')
  t.notMatch(logLines.join(''), /Jane|1990/)
})

t.test('the account counts: its country, its limits, and that it is there', async (t) => {
  const { account, admin } = await enter(t)
  await admin('PUT', `/accounts/${account}`, { country: 'GB', dob_format: 'DMY' })
  const event = rawEvent({ user_data: { em: 'a@example.com', ph: '07700 900123', db: '03/04/1990' } })
  const { body } = await admin('POST', '/explain', { ad_account_id: account, data: [event] })
  t.match(body, {
    events: [
      { fields: [{}, { field: 'ph', spelled: '4•••••••••••' }, { field: 'db', spelled: '1•••••••' }] },
    ],
  })
  const old = { ...event, event_time: 1_000_000_000 }
  const asTest = await admin('POST', '/explain', { ad_account_id: account, data: [old], test: true })
  t.match(asTest.body, { events: [{ status: 'prepared' }] })
  t.match((await admin('POST', '/explain', { ad_account_id: account, data: [old] })).body, {
    events: [{ status: 'refused', reason: 'too_old' }],
  })
  t.equal((await admin('POST', '/explain', { ad_account_id: '1', data: [event] })).status, 404)
  t.equal((await admin('POST', '/explain', { ad_account_id: account, data: [] })).status, 400)
  const many = Array.from({ length: 500 }, () => event)
  t.equal(
    (await admin('POST', '/explain', { ad_account_id: account, data: many })).status,
    200,
    'as large as a post',
  )
})
