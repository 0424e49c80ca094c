import { hash } from 'node:crypto'
import t from 'tap'
import { explainEvent } from '../../src/events/explain.ts'
import { prepareEvent, type PrepareContext } from '../../src/events/prepare.ts'
import { WARNINGS } from '../../src/events/reasons.ts'
import { LIVE, PLAIN } from './raw-events.ts'

const NOW_MS = Date.UTC(2026, 0, 15, 12)
const CONTEXT: PrepareContext = {
  nowMs: NOW_MS,
  accountCountry: 'US',
  dobFormat: undefined,
  maxEventAgeMs: 168 * 3_600_000,
  isTest: false,
  bots: 'send',
}
const sha256 = (text: string) => hash('sha256', text, 'hex')

const EVENT = {
  event_name: 'checkout',
  action_source: 'web',
  event_time: NOW_MS / 1000 - 60,
  event_id: 'order-1',
  event_source_url: 'https://shop.example/?epik=dj0yJnU9b2JDcFFHekV4SHJN',
  user_data: {
    em: [' Jane.Roe@Example.com ', null, sha256('other@example.com').toUpperCase(), 'n/a'],
    ph: '(415) 555-2671',
    fn: 'José',
    ge: 'female',
    db: '03/04/1990',
    client_ip_address: '10.0.0.1',
    client_user_agent: 'Mozilla/5.0',
  },
}

t.test('each value is shown as it came, as it is normalized, and as it is hashed', async (t) => {
  const { fields, warnings, status, json } = explainEvent(EVENT, CONTEXT)
  t.equal(status, 'prepared')
  const prepared = prepareEvent(EVENT, CONTEXT)
  t.equal(json, prepared.status === 'prepared' && prepared.json, 'the very bytes')
  t.strictSame(
    fields.map(({ path, given, normalized, hash, note }) => [path, given, normalized, hash, note]),
    [
      [
        'user_data.em[0]',
        ' J•••.•••@E••••••.com ',
        'j•••.•••@e••••••.com',
        sha256('jane.roe@example.com'),
        null,
      ],
      [
        'user_data.em[2]',
        `${sha256('other@example.com').slice(0, 8)}…`,
        null,
        sha256('other@example.com'),
        'Hashed by the sender.',
      ],
      ['user_data.em[3]', '•/•', null, null, WARNINGS.placeholder.text],
      ['user_data.ph', '(4••) •••-••••', '1••••••••••', sha256('14155552671'), null],
      ['user_data.ge', 'f•••••', '•', sha256('f'), null],
      ['user_data.db', '0•/••/••••', null, null, WARNINGS.ambiguous_date.text],
      ['user_data.fn', 'J•••', 'j•••', sha256('josé'), null],
      ['user_data.client_ip_address', '1•.•.•.•', null, null, WARNINGS.not_public.text],
      ['user_data.client_user_agent', 'M••••••/•.•', 'M••••••/•.•', null, 'Text, not hashed.'],
      [
        'user_data.click_id',
        'd•••••••••••••••••••••••',
        'd•••••••••••••••••••••••',
        null,
        'Text, not hashed.',
      ],
    ],
  )
  t.same(
    warnings.map(({ path, code }) => [path, code]),
    prepared.warnings.map(({ path, code }) => [path, code]),
  )
})

t.test('every hash that is sent is explained, and every one that is explained is sent', async (t) => {
  const { fields, json } = explainEvent(EVENT, CONTEXT)
  const sent = (json ?? '').match(/"[0-9a-f]{64}"/g)?.map((quoted) => quoted.slice(1, -1)) ?? []
  const told = fields.flatMap(({ hash }) => hash ?? [])
  t.same(new Set(told), new Set(sent))
})

t.test('an invalid event comes with reason and field; so does what is no event at all', async (t) => {
  t.match(explainEvent({ ...EVENT, action_source: 'radio' }, CONTEXT), {
    status: 'invalid',
    reason: 'unknown_action_source',
    path: 'action_source',
    json: null,
    fields: { length: 10 },
  })
  for (const raw of [null, 7, 'text', [], { user_data: 'x' }, { user_data: [] }]) {
    t.match(explainEvent(raw, CONTEXT), { status: 'invalid', json: null, fields: [] })
  }
})

t.test('lists in another form are explained value by value', async (t) => {
  for (const em of [{ 1: 'anna@shop.example', 4: 'nobody' }, '["anna@shop.example","nobody"]']) {
    const { fields } = explainEvent({ ...PLAIN, user_data: { em } }, LIVE)
    t.same(fields.map(({ path, hash }) => [path, hash !== null]), [['user_data.em[0]', true], ['user_data.em[1]', false]]) // prettier-ignore
  }
})
