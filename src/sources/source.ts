/** Types and defaults of sources and of mapped webhooks. No mapping, so that the public port can load it alone. */
import type { FilteredReason } from '../events/reasons.ts'

export const SOURCE_KINDS = ['shopify', 'woocommerce', 'custom'] as const
export type SourceKind = (typeof SOURCE_KINDS)[number]

/** Why a webhook is invalid whose expression did not end. */
export const EXPRESSION_STOPPED = 'the expression took too long or too much memory'

/** The topics that are mapped unless a source's `events` say otherwise. */
export const DEFAULT_EVENTS: Readonly<Record<SourceKind, Readonly<Record<string, string>>>> = {
  shopify: {
    'orders/create': 'checkout',
    // The same event id: the second of the two is a duplicate.
    'orders/paid': 'checkout',
    'checkouts/create': 'initiate_checkout',
    'customers/create': 'signup',
  },
  woocommerce: { 'order.created': 'checkout', 'order.updated': 'checkout', 'customer.created': 'signup' },
  custom: {},
}

/** How a sender proves that it knows the secret: an HMAC of the body, or the secret itself (`none`). */
export interface Signature {
  /** In lower case. */
  readonly header: string
  readonly algorithm: 'sha256' | 'sha1' | 'none'
  readonly encoding: 'hex' | 'base64'
  /** Before the signature, such as `sha256=`. */
  readonly prefix: string
  /** A header with the time of sending: then its value, a dot and the body are signed. */
  readonly timestampHeader: string | undefined
  readonly toleranceSeconds: number
}

/** How the webhooks of a source are read. */
export interface SourceOptions {
  readonly kind: SourceKind
  /** The event's name by topic; null: not sent. */
  readonly events: Readonly<Record<string, string | null>>
  /** Templates with paths in braces; undefined: the kind's own. */
  readonly eventId: string | undefined
  readonly contentId: string | undefined
  readonly consent: Consent
  readonly isTest: boolean
  readonly pointOfSale: 'send' | 'filter'
  readonly renewals: 'send' | 'filter'
  /** Shopify: amounts in the shop's currency or in the customer's. */
  readonly money: 'shop' | 'presentment'
  /** WooCommerce: statuses of an order that count as paid. */
  readonly paidStatuses: readonly string[]
  /** Custom sources: how a webhook proves its sender. */
  readonly signature: Signature | undefined
  /** Custom sources: JSONata that makes the events. */
  readonly expression: string | undefined
}

/** The options of a source of which only the kind was given. */
export function defaultOptions(kind: SourceKind): SourceOptions {
  return {
    kind,
    events: {},
    eventId: undefined,
    contentId: undefined,
    consent: 'send',
    isTest: false,
    pointOfSale: 'send',
    // No ad caused them.
    renewals: 'filter',
    money: 'shop',
    paidStatuses: ['processing', 'completed'],
    signature: undefined,
    expression: undefined,
  }
}

/** The path of a field of the payload. Where the field is not true: nothing is sent, or with limited data processing. */
export type Consent = 'send' | { readonly require: string } | { readonly limit: string }

/** By name, in lower case. */
export type Headers = Readonly<Record<string, string | undefined>>

/** A webhook without its body, as it came. */
export interface Webhook {
  readonly options: SourceOptions
  /** One, or two while one is rotated. Never log them. */
  readonly secrets: readonly string[]
  readonly headers: Headers
  /** A webhook about something older may repeat an event that was trimmed from the dedupe index. Milliseconds since the epoch. */
  readonly oldestMs: number
}

/** What a webhook becomes. Messages name rules and fields, never a value. */
export type Mapped =
  | { readonly status: 'mapped'; readonly events: readonly unknown[]; readonly isTest: boolean }
  | {
      readonly status: 'filtered'
      readonly reason: FilteredReason
      readonly eventName: string | undefined
      readonly eventId: string | undefined
      /** Without its name and id; undefined for a webhook that is about no event. */
      readonly event?: unknown
    }
  | { readonly status: 'invalid'; readonly reason: 'not_json' | 'mapping_failed'; readonly message: string }

/** As `Mapped`, with the events as a storefront would post them: JSON in UTF-8. */
export type MappedPost =
  | { readonly status: 'mapped'; readonly payload: Uint8Array }
  | Exclude<Mapped, { status: 'mapped' }>

/** `deliveryId`: the first that is there. */
const HEADERS = {
  shopify: {
    signature: 'x-shopify-hmac-sha256',
    topic: 'x-shopify-topic',
    deliveryId: ['x-shopify-webhook-id', 'x-shopify-event-id'],
  },
  woocommerce: {
    signature: 'x-wc-webhook-signature',
    topic: 'x-wc-webhook-topic',
    deliveryId: ['x-wc-webhook-delivery-id'],
  },
} as const

/** Shopify and WooCommerce sign alike. */
export function signatureOf({ kind, signature }: SourceOptions): Signature {
  const header = kind === 'custom' ? '' : HEADERS[kind].signature
  return signature ?? { ...BASE64_SHA256, header }
}

const BASE64_SHA256 = {
  algorithm: 'sha256',
  encoding: 'base64',
  prefix: '',
  timestampHeader: undefined,
  toleranceSeconds: 0,
} as const

export function namedTopic(kind: SourceKind, topic: string): Headers {
  return kind === 'custom' ? {} : { [HEADERS[kind].topic]: topic }
}

/** What a webhook calls itself. */
export function namesOf(kind: SourceKind, headers: Headers) {
  if (kind === 'custom') return { topic: undefined, deliveryId: undefined }
  const { topic, deliveryId } = HEADERS[kind]
  return {
    topic: headers[topic],
    deliveryId: deliveryId.map((name) => headers[name]).find((id) => id !== undefined),
  }
}
