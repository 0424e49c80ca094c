/** Which ids of the sender's the event trail may keep. */
import t from 'tap'
import { sha256Hex } from '../../src/events/hash.ts'
import { prepareEvent } from '../../src/events/prepare.ts'
import { trailIdsOf } from '../../src/events/personal-ids.ts'
import { LIVE, PLAIN } from './raw-events.ts'

const keeps = (id: string, userData: unknown = {}) => trailIdsOf(id, undefined, userData).eventId === id

t.test('ids of events and orders are kept, whatever shop they are from', async (t) => {
  for (const id of [
    '4711',
    '5678901234567',
    '000000123',
    '#1001',
    '550e8400-e29b-41d4-a716-446655440000',
    '5d41402abc4b2a76b9719d911017c592',
    'order-checkout-4711',
    '2024-11-27-0042',
    'wc_order_Xy12',
    'gid:shop:4711',
  ])
    t.ok(keeps(id), id)
})

t.test('what looks like an address, a number or a page is left out', async (t) => {
  for (const id of [
    'jane@example.com',
    'order-checkout-jane@example.com',
    'jane%40example.com',
    '+49 170 1234567',
    'order-+491701234567',
    '(555) 123-4567',
    '0170 1234567',
    '203.0.113.7',
    '2001:db8:1::7',
    'https://shop.example/?epik=abc',
    'x'.repeat(1000),
  ])
    t.notOk(keeps(id), id)
})

t.test('so is what the event says of its customer, as it came or hashed', async (t) => {
  const hashed = sha256Hex('jane@example.com')
  t.notOk(keeps('4917012345', { ph: '+49 170 12345' }))
  t.notOk(keeps('order-17012345', { ph: '+49 170 12345' }), 'without its country')
  t.notOk(keeps('415-555-2671', { ph: '+1 (415) 555-2671' }), 'written in another way')
  t.notOk(keeps('order-1.415.555.2671', { ph: '(415) 555-2671' }), 'with its country')
  t.notOk(keeps('20241127-4155552671-1732700000', { ph: '(415) 555-2671' }), 'among other digits')
  t.notOk(keeps('415-555-2671', { ph: sha256Hex('4155552671') }))
  t.notOk(keeps('415-555-2671-1', { ph: sha256Hex('4155552671') }), 'and more digits after it')
  t.notOk(keeps('2026-415-555-1234', { ph: sha256Hex('4155551234') }), 'or before it')
  t.notOk(keeps('2026-11-28-415-555-1234-1', { ph: sha256Hex('4155551234') }), 'and on both sides')
  t.notOk(
    keeps('1 '.repeat(100), { ph: sha256Hex('4155551234') }),
    'nobody writes a number so: not all are compared',
  )
  t.ok(keeps('2026-11-28-4711-1', { ph: sha256Hex('4155551234') }))
  t.notOk(keeps('order-4917012345', { ph: [sha256Hex('4917012345')] }))
  t.notOk(keeps('order-4917012345', { ph: sha256Hex('4917012345').toUpperCase() }))
  t.notOk(keeps(`id-${hashed}`, { em: [hashed.toUpperCase()] }))
  const { orderId } = trailIdsOf('id-4155552671', 'order-415-555-2671', { ph: '(415) 555-2671' })
  t.equal(orderId, null, 'of both ids')
  const same = trailIdsOf('id-4155552671', 'order-4155552671', { ph: sha256Hex('4155552671') })
  t.strictSame(same, { eventId: null, orderId: null }, 'of both with the same number')
  t.strictSame(
    trailIdsOf('jane@example.com', undefined, {}),
    { eventId: null, orderId: undefined },
    'and only what is there',
  )
  t.notOk(keeps('x'.repeat(45) + 'Lane Doe', { street: 'x'.repeat(40) + 'lane doe' }), 'long ones, too')
  for (const ln of ['doeling', ['doeling'], '["doeling"]', { 0: 'doeling' }])
    t.notOk(keeps('Jane-Doeling', { ln }), JSON.stringify(ln))
  t.ok(keeps('4711', { external_id: '4711' }), 'a customer number')
  t.ok(keeps('415-555-2671', { ph: '+1 415 555 9999' }), 'it may be an order')
  t.ok(keeps('4711', { st: 'ca', fn: [7, null, { deep: 1 }], ph: 'none' }))
  t.ok(keeps('4711', 'no object'))
})

t.test('so is a number, with or without its country, its trunk zero and its extension', async (t) => {
  for (const [id, ph] of [
    ['kunde-4930901820', '030 901820'],
    ['030901820', '+49 30 901820'],
    ['03012345', '+49 30 12345'],
    ['0612345678', '+33 6 12 34 56 78'],
    ['447911123456', '07911 123456'],
    ['447911123456', '+44 (0)7911 123456'],
    ['4155552671', '(415) 555-2671 x9'],
    ['4155552671', '(415) 555-2671 ext. 12'],
    ['4155552671', '415 555 2671 #3'],
    ['4155552671', 'tel:+14155552671;ext=5'],
    ['415_555_2671', '(415) 555-2671'],
  ] as const)
    t.notOk(keeps(id, { ph }), `${id} of ${ph}`)
  t.notOk(keeps('order-13912345678', { em: 'max13912345678@example.com' }), 'and one in an address')
})

t.test('so is a name or the first part of an address, in whatever way it is written', async (t) => {
  for (const [id, userData] of [
    ['DOELING-1', { ln: ' Doeling ' }],
    ['Doeling-1', { ln: 'Doe\u200bling' }],
    ['Van-der-Berg-7', { ln: 'van der Berg' }],
    ["O'Connor-7", { ln: 'O’Connor' }],
    ['José-Álvarez-7'.normalize('NFD'), { ln: 'Álvarez'.normalize('NFC') }],
    ['JoséÁlvarez7', { ln: 'Alvarez' }],
    ['Müller-Lüdenscheidt-7', { ln: 'mueller-luedenscheidt' }],
    ['mueller-luedenscheidt-7', { ln: 'Müller-Lüdenscheidt' }],
    ['Großmann-7', { ln: 'GROSSMANN' }],
    ['Gothals-7', { ln: 'Goethals' }],
    ['Soerensen-7', { ln: 'Sørensen' }],
    ['Sørensen-7', { ln: 'SORENSEN' }],
    ['kjaergaard-7', { ln: 'Kjærgård'.replace('å', 'aa') }],
    ['Wlodarski-7', { ln: 'Włodarski' }],
    ['Jane-Doe-7', { ln: 'Doe' }],
    ['jane_doe_7', { fn: [' Jane '] }],
    ['7JaneDoe', { ln: 'doe' }],
    ['bjørn7', { fn: 'Bjørn' }],
    ['bjoern.7', { fn: 'Bjorn' }],
    ['lea-7', { fn: 'Léa' }],
    ['jane.doeling-7', { em: 'jane.doeling@example.com' }],
    ['jane-doeling-7', { em: ['jane.doeling+shop@example.com'] }],
    ['victim.zz', { em: 'victim.zz@example.com' }],
    ['doeling-7', { address: { ln: 'doeling' } }],
  ] as const) {
    t.notOk(keeps(id, userData), `${id} of ${JSON.stringify(userData)}`)
    t.equal(trailIdsOf('e-1', id, userData).orderId, null)
  }
  for (const name of ['order', 'info', 'sales', 'shop', 'test'])
    t.ok(
      keeps(`${name}-7-webshop`, { em: [`${name}@example.com`, `${name}+7@example.com`] }),
      `${name}: many ids have such a word`,
    )
  for (const [id, ln] of [
    ['order-aebi-7', 'Aebi'],
    ['order-ueli-7', 'Ueli'],
    ['order-aebi-7', 'Äbi'],
  ])
    t.notOk(keeps(id!, { ln }), `${id}: ${ln}`)
  t.ok(keeps('leather-7', { fn: 'Lea' }), 'a short name is a word of its own')
  t.ok(keeps('order-us-de-7', { ln: 'De', country: 'US', st: 'ord' }), 'and has three letters')
  t.ok(keeps('order--7', { fn: '...' }), 'and some at all')
  t.notOk(keeps('0b1e-bade-cafe', { ln: 'Bad Ecaf' }), 'a hexadecimal number may hold one')
  t.notOk(keeps('Torben-7', { fn: 'Tor Ben' }), 'written apart')
  t.notOk(keeps('Größe-Müller', { ln: 'GROESSE' }), 'with letters that folding makes of others')
  t.ok(keeps('webshop-2024-1127-0042', { zp: '12700' }), 'digits of two groups are nobody’s word')
})

t.test('so is a hash of what came raw, whatever it was normalized to', async (t) => {
  const of = (id: string, userData: object) =>
    prepareEvent({ ...PLAIN, event_id: id, user_data: { em: 'jane@example.com', ...userData } }, LIVE)
      .trailIds.eventId
  t.equal(of(`id-${sha256Hex('jane@example.com')}`, { em: ' Jane@Example.com' }), null)
  t.equal(of(sha256Hex('14155552671').toUpperCase(), { ph: '+1 415 555 2671' }), null)
  t.notOk(
    keeps(`id-${sha256Hex('jane@example.com')}`, { em: 'Jane@Example.com' }),
    'also of an invalid event',
  )
  const other = sha256Hex('order 4711')
  t.equal(of(other, {}), other, 'and no other hash')
  t.equal(of(other, { external_id: 'order 4711' }), other)
})

t.test('with more values than anybody sends no id is kept', async (t) => {
  const list = (value: unknown, count: number) => ({ ph: Array.from({ length: count }, () => value) })
  t.ok(keeps('order-1', list('9000000', 320)))
  t.notOk(keeps('order-1', list('9000000', 321)))
  t.notOk(keeps('order-1', { ph: JSON.stringify(list('9000000', 321).ph) }))
  for (const nothing of [null, {}, 'us', 7])
    t.ok(keeps('order-1', list(nothing, 400)), `${JSON.stringify(nothing)} is compared with nothing`)
})

t.test(
  'a valid event and an invalid one say their ids, its time and its name as far as they can be read',
  async (t) => {
    const event = { ...PLAIN, event_id: 'e-1', custom_data: { order_id: 4711 } }
    const trailIds = { eventId: 'e-1', orderId: '4711' }
    t.match(prepareEvent(event, LIVE), { status: 'prepared', trailIds })
    const invalid = prepareEvent({ ...event, action_source: 'fax' }, LIVE)
    t.match(invalid, { status: 'invalid', trailIds, eventName: 'checkout', eventTimeS: Number })
    t.match(prepareEvent(7, LIVE), {
      status: 'invalid',
      trailIds: { eventId: undefined, orderId: undefined },
    })
  },
)
