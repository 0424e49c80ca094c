/**
 * From a shop's order to an event: the mapping of the relay's own webhooks (src/sources), for a shop that posts by itself. An
 * order as the webhook has it, or as Shopify's Admin API and WooCommerce's REST API have it.
 */
import { mapPayload } from '../../src/sources/map.ts'
import { defaultOptions, namedTopic, type SourceOptions } from '../../src/sources/source.ts'
import type { ConversionEvent } from './index.ts'

/** As the settings of a source: docs/shopify.md and docs/woocommerce.md. */
export interface ShopOptions extends Partial<
  Pick<
    SourceOptions,
    'eventId' | 'contentId' | 'consent' | 'pointOfSale' | 'renewals' | 'money' | 'paidStatuses'
  >
> {
  /** The event's `event_source_url`. */
  readonly shopUrl?: string
  /** Instead of the topic's own, `checkout` for an order. */
  readonly eventName?: string
  /** What the payload is, as the shop's webhooks call it: an order unless it is said. */
  readonly topic?: string
}

export type MadeEvent =
  /** `isTest`: the shop says that it is no real order. */
  | { readonly status: 'mapped'; readonly event: ConversionEvent; readonly isTest: boolean }
  /** Not to be sent: `cancelled`, `not_paid`, `no_consent` and others, as in the relay's event trail. */
  | { readonly status: 'filtered'; readonly reason: string }
  | { readonly status: 'invalid'; readonly message: string }

/** Of an order, a checkout (`checkouts/create`) or a customer (`customers/create`). Never throws. */
export function shopifyEvent(payload: unknown, options: ShopOptions = {}): MadeEvent {
  const { shopUrl, topic = 'orders/create' } = options
  const domain = shopUrl !== undefined && URL.canParse(shopUrl) ? new URL(shopUrl).host : undefined
  return make('shopify', payload, topic, { 'x-shopify-shop-domain': domain }, options)
}

/** Of an order or a customer (`customer.created`). Never throws. */
export function woocommerceEvent(payload: unknown, options: ShopOptions = {}): MadeEvent {
  const { shopUrl, topic = 'order.created' } = options
  return make('woocommerce', payload, topic, { 'x-wc-webhook-source': shopUrl }, options)
}

function make(
  kind: 'shopify' | 'woocommerce',
  payload: unknown,
  topic: string,
  headers: Readonly<Record<string, string | undefined>>,
  given: ShopOptions,
): MadeEvent {
  const { shopUrl: _, topic: __, eventName, ...settings } = given
  // Undefined and null are for the default, as in the settings of a source.
  const own = Object.fromEntries(Object.entries(settings).filter(([, value]) => (value ?? null) !== null))
  const events = eventName === undefined ? {} : { [topic]: eventName }
  const options = { ...defaultOptions(kind), ...own, events }
  const mapped = mapPayload(
    { options, headers: { ...headers, ...namedTopic(kind, topic) }, oldestMs: 0 },
    payload,
  )
  switch (mapped.status) {
    case 'mapped':
      return { status: 'mapped', event: mapped.events[0] as ConversionEvent, isTest: mapped.isTest }
    case 'filtered':
      return { status: 'filtered', reason: mapped.reason }
    case 'invalid':
      return { status: 'invalid', message: mapped.message }
  }
}
