/**
 * What a shop's webhook becomes: an event, or why there is none. Pure; the signature was checked before. Of custom sources
 * expression.ts makes the events. Runs wherever JavaScript does: the client package has it, too.
 */
import type { FilteredReason } from '../events/reasons.ts'
import { consentIn, fillTemplate, isJsonObject, type Json } from './payload.ts'
import type { ShopEvent, ShopMapping } from './shop.ts'
import { shopify } from './shopify.ts'
import { DEFAULT_EVENTS, namesOf, type Mapped, type SourceOptions, type Webhook } from './source.ts'
import { woocommerce } from './woocommerce.ts'

const SHOPS: Readonly<Record<'shopify' | 'woocommerce', ShopMapping>> = { shopify, woocommerce }

const NOT_JSON = {
  status: 'invalid',
  reason: 'not_json',
  message: 'the body is no JSON object in UTF-8',
} as const

/** Yields between its two steps: an order of a thousand lines takes some milliseconds for each. */
export function* mapWebhook(webhook: Webhook, body: Uint8Array): Generator<void, Mapped> {
  if (findEventName(webhook) === undefined) return NOT_MAPPED
  const payload = parseJson(body)
  yield
  return mapPayload(webhook, payload)
}

function findEventName({ options: { kind, events }, headers }: Pick<Webhook, 'options' | 'headers'>) {
  const topic = namesOf(kind, headers).topic ?? ''
  const names = { ...DEFAULT_EVENTS[kind], ...events }
  return Object.hasOwn(names, topic) ? (names[topic] ?? undefined) : undefined
}

export function mapPayload(webhook: Omit<Webhook, 'secrets'>, payload: unknown): Mapped {
  const { options, headers, oldestMs } = webhook
  const { kind, consent } = options
  if (kind === 'custom') throw new Error('A custom source has no mapping of its own.')
  const topic = namesOf(kind, headers).topic ?? ''
  const eventName = findEventName(webhook)
  if (eventName === undefined) return NOT_MAPPED
  if (!isJsonObject(payload)) return NOT_JSON
  const shop = SHOPS[kind]
  const isTest = options.isTest || shop.isTest(payload, headers)
  const read = shop.read(payload, topic, headers, options)
  const eventId = idOf(read, options, payload)
  const withheld = (reason: FilteredReason): Mapped => ({
    status: 'filtered',
    reason,
    eventName,
    eventId,
    event: read.event,
  })
  if (read.reason !== undefined) return withheld(read.reason)
  if (!isTest && read.repeatableMs !== undefined && read.repeatableMs < oldestMs)
    return withheld('late_repeat')
  const consented = consentIn(payload, consent)
  if (consented === 'withheld') return withheld('no_consent')
  const event = { ...read.event, event_name: eventName, event_id: eventId }
  return { status: 'mapped', events: [consented === 'limited' ? limited(event) : event], isTest }
}

const NOT_MAPPED: Mapped = {
  status: 'filtered',
  reason: 'not_mapped',
  eventName: undefined,
  eventId: undefined,
}

function idOf({ id }: ShopEvent, { eventId }: SourceOptions, payload: Json): string | undefined {
  return (eventId === undefined ? undefined : fillTemplate(eventId, payload)) ?? id
}

/** For limited data processing. */
export function limited<Event extends { readonly custom_data?: unknown }>(event: Event) {
  const customData = isJsonObject(event.custom_data) ? event.custom_data : {}
  return { ...event, opt_out: true, custom_data: { ...customData, opt_out_type: 'LDP' } }
}

/** JSON.parse's own errors quote the text that they failed on. */
export function parseJson(body: Uint8Array): unknown {
  try {
    // Without a byte order mark, which some senders begin with.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined
  }
}
