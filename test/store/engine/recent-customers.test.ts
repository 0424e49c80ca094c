import t from 'tap'
import { prepareEvent } from '../../../src/events/prepare.ts'
import { dedupeKey } from '../../../src/store/core/sealed.ts'
import { createRecentCustomers } from '../../../src/store/engine/recent-customers.ts'
import { LIVE, PLAIN } from '../../events/raw-events.ts'

const browser = { client_ip_address: '203.0.113.7', client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)' }
const anna = { em: 'anna.lind@shop.example' }
const bea = { em: 'bea.roth@shop.example' }

function event(userData: object, fields: object = {}, adAccountId = '1') {
  const raw = { ...PLAIN, event_id: 'cached-17', ...fields, user_data: { ...browser, ...userData } }
  const prepared = prepareEvent(raw, LIVE)
  if (prepared.status !== 'prepared') throw new Error(prepared.status)
  const { eventName, eventId, customer } = prepared
  return [dedupeKey(adAccountId, eventName, eventId), customer] as const
}

/** Whether the second is told as another customer's than the first. */
function differs(first: object, second: object, fields: object = {}, adAccountId = '1'): boolean {
  const customers = createRecentCustomers()
  customers.note(...event(first))
  return customers.isOfAnother(...event(second, fields, adAccountId))
}

t.test('one id with different customers is reported, by what both have', async (t) => {
  t.ok(differs(anna, bea))
  t.ok(differs({ external_id: 'c-1' }, { external_id: 'c-2' }))
  t.ok(differs({ ph: '+14155552671' }, { ph: '+14155552672' }))
})

t.test('one customer twice is a duplicate, and nothing else', async (t) => {
  t.notOk(differs(anna, anna))
  t.notOk(differs({ ...anna, external_id: 'c-1' }, { ...anna, external_id: 'c-2' }), 'the email is the same')
  t.notOk(differs({ em: [anna.em, bea.em] }, bea), 'one of several')
  t.notOk(differs(anna, { external_id: 'c-1' }), 'not comparable')
  t.notOk(differs(anna, {}))
  t.notOk(differs({}, anna))
})

t.test('another name, id or account is none of it', async (t) => {
  t.notOk(differs(anna, bea, { event_name: 'lead' }))
  t.notOk(differs(anna, bea, { event_id: 'b' }))
  t.notOk(differs(anna, bea, {}, '2'))
})

t.test(
  'of 150,000 events with ids of their own, more than it has room for, none is reported, and the latest are known',
  async (t) => {
    const customers = createRecentCustomers()
    const of = (id: number, customer: number) => {
      const random = Math.imul(customer, 0x9e3779b1) >>> 4
      return [dedupeKey('1', 'checkout', `order-${id}`), 4 * random + 1] as const
    }
    let told = 0
    for (let id = 0; id < 150_000; id++) {
      if (customers.isOfAnother(...of(id, id))) told += 1
      customers.note(...of(id, id))
    }
    t.ok(told === 0, `${told} told`)
    let known = 0
    for (let id = 140_000; id < 150_000; id++) if (customers.isOfAnother(...of(id, id + 1))) known += 1
    t.ok(known > 9000, `${known} of the last 10,000`)
  },
)
