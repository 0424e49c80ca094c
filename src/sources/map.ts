/**
 * What a shop's webhook becomes: an event, or why there is none. Pure; the signature was checked before. Of custom sources
 * expression.ts makes the events.
 */
import { isUtf8 } from 'node:buffer'
import { fillTemplate, isJsonObject, isTrueAt, type Json } from './payload.ts'
import type { ShopEvent, ShopMapping } from './shop.ts'
import { shopify } from './shopify.ts'
import { DEFAULT_EVENTS, namesOf, type Mapped, type SourceOptions, type Webhook } from './source.ts'
import { woocommerce } from './woocommerce.ts'

const SHOPS: Readonly<Record<'shopify' | 'woocommerce', ShopMapping>> = { shopify, woocommerce }

export const NOT_JSON = {
  status: 'invalid',
  reason: 'not_json',
  message: 'the body is no JSON object in UTF-8',
} as const

/** Yields between its two steps: an order of a thousand lines takes some milliseconds for each. */
export function* mapWebhook(
  { options, headers, oldestMs }: Webhook,
  body: Uint8Array,
): Generator<void, Mapped> {
  const { kind, events, consent } = options
  if (kind === 'custom') throw new Error('A custom source has no mapping of its own.')
  const topic = namesOf(kind, headers).topic ?? ''
  const names = { ...DEFAULT_EVENTS[kind], ...events }
  const eventName = Object.hasOwn(names, topic) ? (names[topic] ?? undefined) : undefined
  if (eventName === undefined) return filtered('not_mapped')
  const payload = parseJson(body)
  yield
  if (!isJsonObject(payload)) return NOT_JSON
  const shop = SHOPS[kind]
  const isTest = options.isTest || shop.isTest(payload, headers)
  const read = shop.read(payload, topic, headers, options)
  const eventId = idOf(read, options, payload)
  if (read.reason !== undefined) return filtered(read.reason, eventName, eventId)
  if (!isTest && read.repeatableMs !== undefined && read.repeatableMs < oldestMs)
    return filtered('late_repeat', eventName, eventId)
  const isConsented = consent === undefined || isTrueAt(payload, consent.path)
  if (!isConsented && consent.unless === 'filter') return filtered('no_consent', eventName, eventId)
  const event = { ...read.event, event_name: eventName, event_id: eventId }
  return { status: 'mapped', events: [isConsented ? event : limited(event)], isTest }
}

function filtered(
  reason: Extract<Mapped, { status: 'filtered' }>['reason'],
  eventName?: string,
  eventId?: string,
): Mapped {
  return { status: 'filtered', reason, eventName, eventId }
}

function idOf({ id }: ShopEvent, { eventId }: SourceOptions, payload: Json): string | undefined {
  return (eventId === undefined ? undefined : fillTemplate(eventId, payload)) ?? id
}

/** What Pinterest may do no more with than the law of the person's place allows. */
export function limited<Event extends { readonly custom_data?: unknown }>(event: Event) {
  const customData = isJsonObject(event.custom_data) ? event.custom_data : {}
  return { ...event, opt_out: true, custom_data: { ...customData, opt_out_type: 'LDP' } }
}

/** JSON.parse's own errors quote the text that they failed on. */
export function parseJson(body: Uint8Array): unknown {
  if (!isUtf8(body)) return undefined
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}
