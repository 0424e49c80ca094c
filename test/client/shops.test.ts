import t from 'tap'
import { shopifyEvent, type ShopOptions, woocommerceEvent } from '../../client/src/shops.ts'
import { prepareEvent } from '../../src/events/prepare.ts'
import { CONTEXT, eventOf, map, NOW } from '../sources/options.ts'
import {
  shopifyCheckout,
  shopifyCustomer,
  shopifyOrder,
  wooCustomer,
  wooOrder,
} from '../support/shop-payloads.ts'

const SHOPIFY = { shopUrl: 'https://hearth.example/' }
const WOO = { shopUrl: 'https://loch.example/' }

t.test("an order becomes what the relay makes of the shop's webhook", async (t) => {
  const rows = [
    [shopifyEvent(shopifyOrder(NOW), SHOPIFY), map(shopifyOrder(NOW), 'orders/create')],
    ...(
      [
        ['checkouts/create', shopifyCheckout(NOW)],
        ['customers/create', shopifyCustomer(NOW)],
      ] as const
    ).map(([topic, payload]) => [shopifyEvent(payload, { ...SHOPIFY, topic }), map(payload, topic)] as const),
    [woocommerceEvent(wooOrder(NOW), WOO), map(wooOrder(NOW), 'order.created', { kind: 'woocommerce' })],
    [
      woocommerceEvent(wooCustomer(NOW), { ...WOO, topic: 'customer.created' }),
      map(wooCustomer(NOW), 'customer.created', { kind: 'woocommerce' }),
    ],
  ] as const
  for (const [made, mapped] of rows) {
    if (made.status !== 'mapped') throw new Error(JSON.stringify(made))
    t.same(JSON.parse(JSON.stringify(made.event)), eventOf(mapped))
    t.match(prepareEvent(made.event, CONTEXT), { status: 'prepared' })
  }
})

t.test('options are those of a source, and the event may have another name', async (t) => {
  const made = shopifyEvent(shopifyOrder(NOW), { eventName: 'first_order', eventId: 'order-{id}' })
  t.match(made, { event: { event_name: 'first_order', event_id: 'order-5678901234567' }, isTest: false })
  t.match(shopifyEvent(shopifyOrder(NOW, { test: true })), { status: 'mapped', isTest: true })
  const consent = { require: 'buyer_accepts_marketing' }
  const refusing = shopifyOrder(NOW, { buyer_accepts_marketing: false })
  t.same(shopifyEvent(refusing, { consent }), { status: 'filtered', reason: 'no_consent' })
})

t.test('what is not to be sent says why, and nothing is thrown', async (t) => {
  t.same(shopifyEvent(shopifyOrder(NOW, { cancelled_at: NOW.toISOString() })), {
    status: 'filtered',
    reason: 'cancelled',
  })
  t.same(woocommerceEvent(wooOrder(NOW, { status: 'pending' })), { status: 'filtered', reason: 'not_paid' })
  t.match(woocommerceEvent(wooOrder(NOW, { status: 'on-hold' }), { paidStatuses: ['on-hold'] }), {
    status: 'mapped',
  })
  t.same(shopifyEvent({}, { topic: 'app/uninstalled' }), { status: 'filtered', reason: 'not_mapped' })
  for (const payload of [undefined, null, 'text', [], 7])
    t.match(shopifyEvent(payload), { status: 'invalid', message: String })
})

t.test('an option that is not set is the default, and a consent that cannot be read withholds', async (t) => {
  for (const unset of [undefined, null]) {
    const options = { consent: unset, renewals: unset } as unknown as ShopOptions
    t.match(shopifyEvent(shopifyOrder(NOW), options), { status: 'mapped' })
    t.match(woocommerceEvent(wooOrder(NOW, { created_via: 'subscription' }), options), { reason: 'renewal' })
  }
  for (const consent of [{}, 'filter', true, { require: 7 }, { unless: 'filter', path: 'a' }]) {
    const options = { consent } as unknown as ShopOptions
    t.match(shopifyEvent(shopifyOrder(NOW), options), { status: 'filtered', reason: 'no_consent' })
  }
})
