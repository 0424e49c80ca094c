/**
 * Shopify's webhooks: orders, checkouts and customers in the form of its Admin API. What is about an order or a checkout is
 * read in one way, since they have the same fields.
 */
import { clickIdOf } from '../events/click-id.ts'
import type { ShopEvent, ShopMapping } from './shop.ts'
import { contentsOf, type Line, linesOf } from './shop.ts'
import { ANY_SHOP, firstText, msOf, secondsOf, valueAt, type Json } from './payload.ts'
import type { Headers, SourceOptions } from './source.ts'

/** Without the customer's browser these are the merchant's own work: at the counter, on the phone. */
const OFFLINE_CHANNELS: ReadonlySet<string> = new Set(['pos', 'iphone', 'android', 'shopify_draft_order'])
const RENEWAL_TAG = /(^|,)\s*subscription recurring order\s*(,|$)/i

export const shopify: ShopMapping = {
  isTest: (payload, headers) => payload['test'] === true || headers['x-shopify-test'] === 'true',
  read(payload, topic, headers, options) {
    if (topic.startsWith('customers/')) return readCustomer(payload, headers)
    const reason = topic.startsWith('orders/') ? whyNot(payload, options) : undefined
    return { ...readOrder(payload, topic, headers, options), reason }
  },
}

function whyNot(order: Json, { pointOfSale, renewals }: SourceOptions) {
  const { source_name: channel, tags, financial_status: payment } = order
  if (firstText(order, 'cancelled_at') !== undefined || payment === 'voided' || payment === 'refunded') {
    return 'cancelled'
  }
  if (channel === 'pos' && pointOfSale === 'filter') return 'point_of_sale'
  const isRenewal =
    channel === 'subscription_contract' || (typeof tags === 'string' && RENEWAL_TAG.test(tags))
  if (isRenewal && renewals === 'filter') return 'renewal'
  const lines = linesOf(order)
  return lines.length > 0 && lines.every((line) => quantityOf(line) === 0) ? 'empty_order' : undefined
}

function readOrder(order: Json, topic: string, headers: Headers, options: SourceOptions): ShopEvent {
  const isOrder = topic.startsWith('orders/')
  const hasBrowser = firstText(order, 'client_details.browser_ip', 'browser_ip') !== undefined
  const channel = firstText(order, 'source_name') ?? 'web'
  const isOffline = channel === 'pos' || (OFFLINE_CHANNELS.has(channel) && !hasBrowser)
  const happened = firstText(order, 'processed_at', 'created_at')
  const money = moneyOf(order, options)
  return {
    id: firstText(order, isOrder ? 'id' : 'token', 'id', 'token'),
    // Without `orders/create` what is paid late was not sent before.
    repeatableMs:
      topic === 'orders/paid' && options.events['orders/create'] === null ? undefined : msOf(happened),
    event: {
      action_source: isOffline ? 'offline' : 'web',
      event_time: secondsOf(happened),
      event_source_url: addressOf(headers),
      user_data: {
        ...readPerson(order),
        // At the counter they are those of the shop.
        ...(!isOffline && {
          client_ip_address: firstText(order, 'client_details.browser_ip', 'browser_ip'),
          client_user_agent: firstText(order, 'client_details.user_agent'),
        }),
        click_id:
          firstText(order, 'note_attributes._epik', 'note_attributes.epik') ??
          clickIdOf(firstText(order, 'landing_site'), ANY_SHOP),
      },
      custom_data: {
        currency: money?.currency,
        value: money?.value,
        order_id: isOrder ? firstText(order, 'name', 'id')?.replace(/^#/, '') : undefined,
        ...contentsOf(
          linesOf(order).map((line) => toLine(line, money?.kind)),
          options.contentId ?? '{variant_id}',
          'product_id',
        ),
      },
    },
  }
}

function readCustomer(customer: Json, headers: Headers): ShopEvent {
  const createdAt = firstText(customer, 'created_at')
  return {
    id: firstText(customer, 'id'),
    repeatableMs: msOf(createdAt),
    event: {
      action_source: 'web',
      event_time: secondsOf(createdAt),
      event_source_url: addressOf(headers),
      user_data: readPerson({ customer }),
    },
  }
}

/** The order's own first, then the customer's, then those of the addresses. */
function readPerson(order: Json): Json {
  const places = ['billing_address', 'shipping_address', 'customer.default_address']
  // All of one address: a city and a postcode of two would be nobody's.
  const place = places.find((path) => firstText(order, `${path}.country_code`) !== undefined) ?? places[0]!
  const ofPeople = (field: string) => ['customer', ...places].map((path) => `${path}.${field}`)
  return {
    em: firstText(order, 'email', 'contact_email', 'customer.email'),
    ph: firstText(order, 'phone', ...ofPeople('phone')),
    fn: firstText(order, ...ofPeople('first_name')),
    ln: firstText(order, ...ofPeople('last_name')),
    ct: firstText(order, `${place}.city`),
    st: firstText(order, `${place}.province_code`),
    zp: firstText(order, `${place}.zip`),
    country: firstText(order, `${place}.country_code`),
    external_id: firstText(order, 'customer.id'),
  }
}

type Money = 'shop' | 'presentment'

/** Value and currency of one kind; undefined where that is not certain. */
function moneyOf(order: Json, { money }: SourceOptions) {
  for (const kind of [money, 'shop'] as const) {
    const set = ['current_total_price_set', 'total_price_set'].find(
      (name) => firstText(order, `${name}.${kind}_money.amount`) !== undefined,
    )
    if (set === undefined) continue
    const value = firstText(order, `${set}.${kind}_money.amount`)
    const otherwise = kind === 'shop' ? 'currency' : 'presentment_currency'
    const currency = firstText(order, `${set}.${kind}_money.currency_code`, otherwise)
    if (currency !== undefined) return { kind, value, currency }
  }
  // Checkouts have bare amounts.
  const currency = firstText(order, 'currency')
  if (currency === undefined || currency !== firstText(order, 'presentment_currency', 'currency'))
    return undefined
  return { kind: 'shop' as Money, value: firstText(order, 'current_total_price', 'total_price'), currency }
}

/** What is left of it after the order was edited. */
function quantityOf(line: Json): unknown {
  return valueAt(line, 'current_quantity') ?? valueAt(line, 'quantity')
}

function toLine(line: Json, kind: Money | undefined): Line {
  const price = firstText(line, `price_set.${kind}_money.amount`)
  return {
    line,
    quantity: quantityOf(line),
    name: firstText(line, 'title', 'name'),
    // The bare price is in the shop's currency.
    price: price ?? (kind === 'shop' ? firstText(line, 'price') : undefined),
  }
}

function addressOf(headers: Headers): string | undefined {
  const domain = headers['x-shopify-shop-domain']
  return domain === undefined ? undefined : `https://${domain}/`
}
