import t from 'tap'
import { prepareEvent } from '../../src/events/prepare.ts'
import type { SourceOptions } from '../../src/sources/source.ts'
import { wooCustomer, wooOrder } from '../support/shop-payloads.ts'
import { CONTEXT, eventOf, map, NOW, NOW_S } from './options.ts'

const WOO = { kind: 'woocommerce' } as const
const mapOrder = (overrides: object = {}, options: Partial<SourceOptions> = {}, topic = 'order.created') =>
  map(wooOrder(NOW, overrides as Record<string, unknown>), topic, { ...WOO, ...options })
const DAY_MS = 86_400_000

t.test('a paid order becomes a checkout', async (t) => {
  t.same(eventOf(mapOrder()), {
    event_name: 'checkout',
    event_id: '727',
    action_source: 'web',
    event_time: NOW_S,
    event_source_url: 'https://loch.example/',
    user_data: {
      em: 'oisin@dreoilin.example',
      ph: '091 555 0102',
      fn: 'Ois&iacute;n',
      ln: 'O&#039;Dreoil&iacute;n',
      ct: 'Galway',
      st: 'G',
      zp: 'H91 AX03',
      country: 'IE',
      client_ip_address: '203.0.113.77',
      client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      click_id: 'dj0yJnU9from_entry',
    },
    custom_data: {
      currency: 'EUR',
      value: '54.00',
      order_id: '727',
      num_items: 3,
      content_ids: ['93'],
      contents: [
        { id: '93', item_name: 'Breakfast tea &amp; tin', item_price: 16.333333333333332, quantity: 3 },
      ],
    },
  })
})

t.test('the relay decodes its entities and finds no fault', async (t) => {
  const prepared = prepareEvent(eventOf(mapOrder()), CONTEXT)
  t.match(prepared, { status: 'prepared', json: /Breakfast tea & tin/ })
  t.same(
    prepared.warnings.map(({ path, code }) => `${path}: ${code}`),
    ['user_data.st: unreadable'],
    "a county's code of one digit is none of Pinterest's",
  )
})

t.test('created and updated are one event; what is not paid is not sent', async (t) => {
  t.same(eventOf(mapOrder({}, {}, 'order.updated')), eventOf(mapOrder()))
  for (const status of ['pending', 'on-hold', 'failed', 'checkout-draft', '', null])
    t.match(mapOrder({ status }), { status: 'filtered', reason: 'not_paid', eventId: '727' })
  for (const status of ['cancelled', 'refunded']) t.match(mapOrder({ status }), { reason: 'cancelled' })
  t.match(mapOrder({ status: 'on-hold' }, { paidStatuses: ['on-hold'] }), { status: 'mapped' })
  t.match(mapOrder({ id: 727 }, {}, 'order.deleted'), { reason: 'not_mapped' })
})

t.test('an order that is completed days later is not sent again', async (t) => {
  const ago = (days: number) => new Date(NOW.getTime() - days * DAY_MS).toISOString().slice(0, 19)
  const completed = { status: 'completed', date_created_gmt: ago(2) }
  t.match(mapOrder({ ...completed, date_paid_gmt: ago(2) }, {}, 'order.updated'), { reason: 'late_repeat' })
  // A transfer that came in today was not sent before.
  t.equal(eventOf(mapOrder({ ...completed, date_paid_gmt: ago(0) }))['event_time'], NOW_S - 2 * 86_400)
  // Paid on delivery: sent when it was placed.
  const onDelivery = { ...completed, date_paid_gmt: ago(0), payment_method: 'cod' }
  t.match(mapOrder(onDelivery, {}, 'order.updated'), { reason: 'late_repeat' })
  // A transfer that was sent with its order, before it came in.
  const transfer = { ...completed, date_paid_gmt: ago(0), payment_method: 'bacs' }
  const alsoUnpaid = { paidStatuses: ['processing', 'completed', 'on-hold'] }
  t.match(mapOrder(transfer, {}, 'order.updated'), { status: 'mapped' })
  t.match(mapOrder(transfer, alsoUnpaid, 'order.updated'), { reason: 'late_repeat' })
})

t.test('guests, variations, and codes of its own', async (t) => {
  t.equal(eventOf(mapOrder({ customer_id: 25 })).user_data['external_id'], '25')
  const line = { product_id: 93, variation_id: 94, quantity: 1, price: 5, sku: 'X' }
  const contents = (options: Partial<SourceOptions>) =>
    eventOf(mapOrder({ line_items: [line] }, options)).custom_data.content_ids
  t.same(contents({}), ['94'])
  t.same(contents({ contentId: '{sku}' }), ['X'])
  const mexico = { country: 'MX', state: 'DF', city: 'Ciudad de México', postcode: '06000' }
  t.equal(eventOf(mapOrder({ billing: mexico })).user_data['st'], undefined)
})

t.test('orders that were made by hand, at a counter or by a subscription', async (t) => {
  const absent = { client_ip_address: undefined, client_user_agent: undefined }
  t.match(eventOf(mapOrder({ created_via: 'admin' })), { action_source: 'offline', user_data: absent })
  t.match(eventOf(mapOrder({ created_via: 'pos-rest-api' })), { action_source: 'offline' })
  t.match(mapOrder({ created_via: 'pos-rest-api' }, { pointOfSale: 'filter' }), { reason: 'point_of_sale' })
  t.match(mapOrder({ created_via: 'subscription' }), { reason: 'renewal' })
  const renewal = { meta_data: [{ id: 9, key: '_subscription_renewal', value: '701' }] }
  t.match(mapOrder(renewal), { reason: 'renewal' })
  t.match(mapOrder(renewal, { renewals: 'send' }), { status: 'mapped' })
})

t.test('a customer becomes a signup', async (t) => {
  t.match(eventOf(map(wooCustomer(NOW), 'customer.created', WOO)), {
    event_name: 'signup',
    event_id: '25',
    event_time: NOW_S,
    user_data: { em: 'oisin@dreoilin.example', fn: 'Oisín', external_id: '25', country: 'IE', ct: 'Galway' },
  })
})
