import t from 'tap'
import { prepareEvent } from '../../src/events/prepare.ts'
import type { SourceOptions } from '../../src/sources/source.ts'
import {
  shopifyAddress,
  shopifyCheckout,
  shopifyCustomer,
  shopifyLine,
  shopifyOrder,
} from '../support/shop-payloads.ts'
import { CONTEXT, eventOf, map, NOW, NOW_S } from './options.ts'

const order = (overrides: object = {}) => shopifyOrder(NOW, overrides as Record<string, unknown>)
const mapped = (overrides: object = {}, options: Partial<SourceOptions> = {}, topic = 'orders/create') =>
  eventOf(map(order(overrides), topic, options))

t.test('an order becomes a checkout with all that Pinterest can use, and nothing else', async (t) => {
  t.same(mapped(), {
    event_name: 'checkout',
    event_id: '5678901234567',
    action_source: 'web',
    event_time: NOW_S,
    event_source_url: 'https://hearth.example/',
    user_data: {
      em: ' Marisol@Quillfeather.example ',
      ph: '+1 415-555-0142',
      fn: 'Marisol',
      ln: 'Quillfeather',
      ct: 'St. Helena',
      st: 'CA',
      zp: '94574-1203',
      country: 'US',
      external_id: '7001002003004',
      client_ip_address: '203.0.113.41',
      client_user_agent:
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1',
      click_id: 'dj0yJnU9from_landing',
    },
    custom_data: {
      currency: 'USD',
      value: '56.20',
      order_id: '4711',
      num_items: 2,
      content_ids: ['44123400011'],
      contents: [{ id: '44123400011', item_name: 'Linen apron', item_price: '24.50', quantity: 2 }],
    },
  })
})

t.test('it passes the relay without a warning', async (t) => {
  for (const event of [
    mapped(),
    eventOf(map(shopifyCheckout(NOW), 'checkouts/create')),
    eventOf(map(shopifyCustomer(NOW), 'customers/create')),
  ])
    t.match(prepareEvent(event, CONTEXT), { status: 'prepared', warnings: [] })
})

t.test(
  'orders/create and orders/paid have one event id; checkouts and customers their own events',
  async (t) => {
    const [created, paid] = ['orders/create', 'orders/paid'].map((topic) => mapped({}, {}, topic))
    t.same(created, paid)
    t.match(eventOf(map(shopifyCheckout(NOW), 'checkouts/create')), {
      event_name: 'initiate_checkout',
      event_id: 'tok-4711-abc',
      user_data: { click_id: 'dj0yJnU9from_cart', fn: 'Marisol', ct: 'St. Helena' },
      custom_data: { value: '49.00', currency: 'USD', contents: [{ item_price: '24.50' }] },
    })
    t.match(eventOf(map(shopifyCustomer(NOW), 'customers/create')), {
      event_name: 'signup',
      event_id: '7001002003004',
      user_data: { em: 'marisol@quillfeather.example', external_id: '7001002003004', st: 'CA' },
    })
  },
)

t.test('topics: others by the source, null switches one off', async (t) => {
  t.match(map(order(), 'orders/updated'), { status: 'filtered', reason: 'not_mapped' })
  t.match(map(order(), '__proto__'), { reason: 'not_mapped' })
  t.match(map(order(), 'constructor'), { reason: 'not_mapped' })
  t.equal(mapped({}, { events: { 'orders/updated': 'lead' } }, 'orders/updated')['event_name'], 'lead')
  t.match(map(order(), 'orders/create', { events: { 'orders/create': null } }), { reason: 'not_mapped' })
})

t.test('customer data: the first that is there, of order, customer, billing, shipping', async (t) => {
  const person = (overrides: object) => mapped(overrides).user_data
  t.equal(person({ email: '', contact_email: null })['em'], 'marisol@quillfeather.example')
  t.equal(person({ phone: '+14155550199' })['ph'], '+14155550199')
  t.equal(person({ customer: null, billing_address: null })['fn'], 'Theodric')
  t.match(person({ billing_address: null }), { ct: 'Yountville', fn: 'Marisol' })
  t.match(person({ billing_address: null, shipping_address: null }), { ct: 'Napa', zp: '94558' })
  const emptyPlace = { ct: undefined, st: undefined, zp: undefined, country: undefined }
  t.match(person({ billing_address: null, shipping_address: null, customer: null }), emptyPlace)
  t.match(
    person({ billing_address: shopifyAddress({ province_code: null, country_code: 'FR' }) }),
    { st: undefined, country: 'FR', ct: 'St. Helena' },
    'never of two addresses',
  )
})

t.test('the browser may be missing; at the counter it is the shop, not the customer', async (t) => {
  const absent = { client_ip_address: undefined, client_user_agent: undefined }
  t.match(mapped({ client_details: null, browser_ip: null }).user_data, absent)
  t.equal(mapped({ client_details: null }).user_data['client_ip_address'], '203.0.113.41')
  t.match(mapped({ source_name: 'pos' }), { action_source: 'offline', user_data: absent })
  const draft = { source_name: 'shopify_draft_order' }
  t.equal(mapped(draft)['action_source'], 'web', 'paid in a browser')
  t.equal(mapped({ ...draft, client_details: null, browser_ip: null })['action_source'], 'offline')
  t.equal(mapped({ source_name: '580111' })['action_source'], 'web', "an app's own channel")
})

t.test('money is of one kind', async (t) => {
  const money = (overrides: object, options: Partial<SourceOptions> = {}) => {
    const { currency, value, contents } = mapped(overrides, options).custom_data
    return [currency, value, contents[0]?.item_price]
  }
  t.same(money({}, { money: 'presentment' }), ['CAD', '76.85', '33.50'])
  const bare = {
    current_total_price_set: null,
    total_price_set: null,
    line_items: [shopifyLine({ price_set: null })],
  }
  t.same(money(bare), [undefined, undefined, undefined], 'two currencies and no telling which')
  t.same(money({ ...bare, presentment_currency: 'USD' }), ['USD', '56.20', '24.50'])
  t.same(
    money({ line_items: [shopifyLine({ price_set: null })] }, { money: 'presentment' }),
    ['CAD', '76.85', undefined],
    "a bare price is the shop's",
  )
  const uncoded = {
    current_total_price_set: { shop_money: { amount: '56.20' }, presentment_money: { amount: '76.85' } },
    total_price_set: null,
  }
  t.same(
    money(uncoded, { money: 'presentment' }),
    ['CAD', '76.85', '33.50'],
    'not in the currency of the other',
  )
  t.same(money(uncoded), ['USD', '56.20', '24.50'])
  const untold = { ...uncoded, currency: null, presentment_currency: null }
  t.same(money(untold), [undefined, undefined, undefined], 'no value without its currency')
})

t.test('what is no conversion of an ad is not sent, and says why', async (t) => {
  const reason = (overrides: object, options: Partial<SourceOptions> = {}) => {
    const result = map(order(overrides), 'orders/create', options)
    return result.status === 'filtered' ? result.reason : result.status
  }
  t.equal(reason({ cancelled_at: '2026-11-27T10:00:00Z' }), 'cancelled')
  t.equal(reason({ financial_status: 'voided' }), 'cancelled')
  t.equal(reason({ financial_status: 'pending' }), 'mapped')
  t.equal(reason({ line_items: [shopifyLine({ current_quantity: 0 })] }), 'empty_order')
  t.equal(reason({ line_items: [] }), 'mapped', 'only a tip')
  t.equal(reason({ source_name: 'subscription_contract' }), 'renewal')
  t.equal(reason({ tags: 'vip, Subscription Recurring Order' }), 'renewal')
  t.equal(reason({ tags: 'Subscription First Order' }), 'mapped')
  t.equal(reason({ source_name: 'subscription_contract' }, { renewals: 'send' }), 'mapped')
  t.equal(reason({ source_name: 'pos' }, { pointOfSale: 'filter' }), 'point_of_sale')
})

t.test('test orders are test events', async (t) => {
  t.match(map(order({ test: true }), 'orders/create'), { isTest: true })
  t.match(map(order(), 'orders/create'), { isTest: false })
  t.match(map(order(), 'orders/create', { isTest: true }), { isTest: true })
})

t.test('ids: a template, else the id with all its digits', async (t) => {
  const id = (eventId: string | undefined, overrides: object = {}) =>
    mapped(overrides, { eventId })['event_id']
  t.equal(id('{note_attributes.event_id}'), 'tag-4711')
  t.equal(id('{checkout_token}'), 'tok-4711-abc')
  t.equal(id('order-{name}-{id}'), 'order-#4711-5678901234567')
  t.equal(id('{note_attributes.event_id}', { note_attributes: [] }), '5678901234567', 'nothing there')
  t.equal(id('{constructor.name}'), '5678901234567', 'nothing inherited')
  // As the sender's test notification has it: more digits than a number holds.
  const body = JSON.stringify(order({ admin_graphql_api_id: 'gid://shopify/Order/820982911946154508' }))
  const long = body.replace('"id":5678901234567', '"id":820982911946154508')
  t.equal(eventOf(map(long, 'orders/create'))['event_id'], '820982911946154508')
  const content = (contentId: string) => mapped({}, { contentId }).custom_data.content_ids
  t.same(content('{sku}'), ['APRON-SAND'])
  t.same(content('shopify_US_{product_id}_{variant_id}'), ['shopify_US_8123400001_44123400011'])
  t.same(content('{barcode}'), ['8123400001'])
})

t.test('consent: a field of the payload that must be true', async (t) => {
  const at = (path: string, unless: 'filter' | 'limit') => ({
    consent: unless === 'filter' ? { require: path } : { limit: path },
  })
  t.match(map(order(), 'orders/create', at('buyer_accepts_marketing', 'filter')), { status: 'mapped' })
  t.match(map(order(), 'orders/create', at('note_attributes.marketing_consent', 'filter')), {
    status: 'mapped',
  })
  for (const value of [true, ' True', 1, 'yes', 'on']) {
    const giving = order({ buyer_accepts_marketing: value })
    t.match(map(giving, 'orders/create', at('buyer_accepts_marketing', 'filter')), { status: 'mapped' })
  }
  for (const value of [false, 'false', 'no', 'off', null, undefined, {}, 2]) {
    const refusing = order({ buyer_accepts_marketing: value })
    t.match(map(refusing, 'orders/create', at('buyer_accepts_marketing', 'filter')), {
      status: 'filtered',
      reason: 'no_consent',
      eventName: 'checkout',
      eventId: '5678901234567',
    })
    t.match(eventOf(map(refusing, 'orders/create', at('buyer_accepts_marketing', 'limit'))), {
      opt_out: true,
      custom_data: { opt_out_type: 'LDP', value: '56.20' },
    })
  }
  t.notOk('opt_out' in eventOf(map(order(), 'orders/create', at('buyer_accepts_marketing', 'limit'))))
})

t.test('what is older than the memory of duplicates may be a repeat', async (t) => {
  const old = order({ created_at: '2026-11-25T10:00:00Z', processed_at: '2026-11-25T10:00:00Z' })
  t.match(map(old, 'orders/create'), { reason: 'late_repeat' })
  t.match(map(old, 'orders/paid'), { reason: 'late_repeat' })
  t.match(map(old, 'orders/paid', { events: { 'orders/create': null } }), { status: 'mapped' }, 'paid late')
  t.match(map({ ...old, test: true }, 'orders/create'), { status: 'mapped' })
  const imported = order({ processed_at: '2019-01-01T00:00:00Z' })
  t.match(map(imported, 'orders/create'), { reason: 'late_repeat' }, 'imported from another shop')
})

t.test('whatever the body is, nothing is thrown', async (t) => {
  for (const body of ['', 'x', '[]', 'null', '1', '"x"', '{', '\ud800'])
    t.match(map(body, 'orders/create'), { status: 'invalid', reason: 'not_json' })
  for (const body of [{}, { line_items: {} }, { line_items: [null, 1, []] }, { customer: [], email: {} }])
    t.match(map(body, 'orders/create'), { status: 'mapped' })
})
