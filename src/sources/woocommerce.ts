/** WooCommerce's webhooks: orders and customers in the form of its REST API (v2 and v3). */
import { clickIdOf } from '../events/click-id.ts'
import { ANY_SHOP, firstText, msOf, secondsOf, valueAt, type Json } from './payload.ts'
import { contentsOf, type Line, linesOf, type ShopEvent, type ShopMapping } from './shop.ts'
import type { Headers, SourceOptions } from './source.ts'

/** Countries whose states WooCommerce numbers or abbreviates in a way of its own. */
const OWN_STATES: ReadonlySet<string> = new Set(['IR', 'MX', 'MY', 'NP'])

const UNPAID_STATUSES: ReadonlySet<string> = new Set(['pending', 'on-hold'])

export const woocommerce: ShopMapping = {
  isTest: () => false,
  read: (payload, topic, headers, options) =>
    topic.startsWith('customer.')
      ? readCustomer(payload, headers)
      : { ...readOrder(payload, headers, options), reason: whyNot(payload, options) },
}

function whyNot(order: Json, { paidStatuses, pointOfSale, renewals }: SourceOptions) {
  const status = firstText(order, 'status') ?? ''
  if (status === 'cancelled' || status === 'refunded') return 'cancelled'
  if (!paidStatuses.includes(status)) return 'not_paid'
  if (isOfPointOfSale(order) && pointOfSale === 'filter') return 'point_of_sale'
  const isRenewal =
    order['created_via'] === 'subscription' || valueAt(order, 'meta_data._subscription_renewal') !== undefined
  if (isRenewal && renewals === 'filter') return 'renewal'
  const lines = linesOf(order)
  return lines.length > 0 && lines.every(({ quantity }) => quantity === 0) ? 'empty_order' : undefined
}

function readOrder(order: Json, headers: Headers, options: SourceOptions): ShopEvent {
  const isOffline = isOfPointOfSale(order) || order['created_via'] === 'admin'
  const createdAt = utc(firstText(order, 'date_created_gmt'))
  const paidAt = isSentUnpaid(order, options) ? undefined : utc(firstText(order, 'date_paid_gmt'))
  return {
    id: firstText(order, 'id'),
    repeatableMs: msOf(paidAt ?? createdAt),
    event: {
      action_source: isOffline ? 'offline' : 'web',
      event_time: secondsOf(createdAt),
      event_source_url: headers['x-wc-webhook-source'],
      user_data: {
        ...readPerson(order, firstText(order, 'customer_id')),
        ...(!isOffline && {
          client_ip_address: firstText(order, 'customer_ip_address'),
          client_user_agent: firstText(
            order,
            'customer_user_agent',
            'meta_data._wc_order_attribution_user_agent',
          ),
        }),
        click_id:
          firstText(order, 'meta_data._epik', 'meta_data.epik') ??
          clickIdOf(firstText(order, 'meta_data._wc_order_attribution_session_entry'), ANY_SHOP),
      },
      custom_data: {
        currency: firstText(order, 'currency'),
        value: firstText(order, 'total'),
        order_id: firstText(order, 'number', 'id'),
        ...contentsOf(linesOf(order).map(toLine), options.contentId ?? '{variation_id}', 'product_id'),
      },
    },
  }
}

function readCustomer(customer: Json, headers: Headers): ShopEvent {
  const createdAt = utc(firstText(customer, 'date_created_gmt'))
  return {
    id: firstText(customer, 'id'),
    repeatableMs: msOf(createdAt),
    event: {
      action_source: 'web',
      event_time: secondsOf(createdAt),
      event_source_url: headers['x-wc-webhook-source'],
      user_data: readPerson(customer, firstText(customer, 'id')),
    },
  }
}

function readPerson(payload: Json, customerId: string | undefined): Json {
  const place = firstText(payload, 'billing.country') === undefined ? 'shipping' : 'billing'
  const country = firstText(payload, `${place}.country`)
  return {
    em: firstText(payload, 'email', 'billing.email'),
    ph: firstText(payload, 'billing.phone', 'shipping.phone'),
    fn: firstText(payload, 'first_name', 'billing.first_name', 'shipping.first_name'),
    ln: firstText(payload, 'last_name', 'billing.last_name', 'shipping.last_name'),
    ct: firstText(payload, `${place}.city`),
    st: OWN_STATES.has(country ?? '') ? undefined : firstText(payload, `${place}.state`),
    zp: firstText(payload, `${place}.postcode`),
    country,
    // A guest is no customer of the shop's.
    external_id: customerId === '0' ? undefined : customerId,
  }
}

/** When it is placed: then its payment, days later, is no news. */
function isSentUnpaid(order: Json, { paidStatuses }: SourceOptions): boolean {
  return order['payment_method'] === 'cod' || paidStatuses.some((status) => UNPAID_STATUSES.has(status))
}

function isOfPointOfSale(order: Json): boolean {
  return order['created_via'] === 'pos-rest-api'
}

/** A variation that is none has the id 0. */
function toLine(line: Json): Line {
  const { variation_id: variation, ...rest } = line
  return {
    line: variation === 0 ? rest : line,
    quantity: line['quantity'],
    name: firstText(line, 'name'),
    price: line['price'],
  }
}

/** Its times in UTC come without a zone. */
function utc(time: string | undefined): string | undefined {
  return time === undefined || /(Z|[+-]\d\d:?\d\d)$/i.test(time) ? time : `${time}Z`
}
