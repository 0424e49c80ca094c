/**
 * Event names. Pinterest takes any text and lets advertisers define names of their own; a name that it does not list is
 * sent as it is, with a warning, since most such names are typing errors.
 */
import { type Reading, read, invalid } from './coerce/reading.ts'
import { MAX_EVENT_ID_LENGTH, MAX_EVENT_NAME_LENGTH } from './schema.ts'
import { text } from './coerce/text.ts'

const KNOWN_EVENT_NAMES: ReadonlySet<string> = new Set([
  // In Pinterest's description of its API.
  'add_payment_info',
  'add_to_cart',
  'add_to_wishlist',
  'app_install',
  'checkout',
  'custom',
  'initiate_checkout',
  'lead',
  'page_visit',
  'search',
  'signup',
  'subscribe',
  'view_category',
  'view_content',
  'watch_video',
  // Sent by newer clients.
  'app_open',
  'contact',
  'customize_product',
  'find_location',
  'schedule',
  'start_trial',
  'submit_application',
])

export function isKnownEventName(name: string): boolean {
  return KNOWN_EVENT_NAMES.has(name)
}

export function eventName(value: unknown): Reading<string> {
  const reading = typeof value === 'string' ? identifier(value, MAX_EVENT_NAME_LENGTH) : UNUSABLE
  if (reading.status !== 'read' || KNOWN_EVENT_NAMES.has(reading.value)) return reading
  return { ...reading, warning: 'unknown_event_name' }
}

export function eventId(value: unknown): Reading<string> {
  return identifier(value, MAX_EVENT_ID_LENGTH)
}

/**
 * The id for an event that came without one: `order-<event_name>-<order_id>`. The same on every retry; the name in it
 * keeps an order's checkout and its refund apart. A browser tag that sends the same id is deduplicated against it.
 */
export function deriveEventId(eventName: string, orderId: string): string {
  return `order-${eventName}-${orderId}`
}

const UNUSABLE = invalid('unusable_text', 'must be well-formed text without control characters')
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/

/** Ids and names are stored in the clear, and not every database stores U+0000. */
function identifier(value: unknown, maxLength: number): Reading<string> {
  const reading = text(value)
  if (reading.status === 'absent') return reading
  if (reading.status !== 'read' || CONTROL.test(reading.value)) return UNUSABLE
  if (reading.value.length > maxLength) {
    return invalid('unusable_text', `must be at most ${maxLength} characters long`)
  }
  return read(reading.value)
}
