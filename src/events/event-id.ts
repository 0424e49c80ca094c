/**
 * Event ids, by which Pinterest and the relay identify events. An id that means nothing (`undefined`, `order-null`,
 * `{{order.id}}`) is the same for every customer, so that all purchases but the first would be taken for duplicates: it counts
 * as missing.
 */
import { text } from './coerce/scalars.ts'
import { holdsTemplate } from './normalize/clean-text.ts'
import { NOTHING_AS_ID } from './normalize/nothing.ts'
import { ABSENT, invalid, OUT_OF_RANGE, PLACEHOLDER, read, type Reading } from './reading.ts'
import { MAX_EVENT_ID_LENGTH } from './schema.ts'

/** Absent if it means nothing, as PHP's `false` does. */
export function eventId(value: unknown): Reading<string> {
  if (typeof value === 'boolean') return ABSENT
  const reading = identifier(value, MAX_EVENT_ID_LENGTH)
  return reading.status === 'read' && isNoId(reading.value) ? ABSENT : reading
}

/** Dropped if it means nothing, since event ids are derived from it. */
export function orderId(value: unknown): Reading<string> {
  const reading = text(value)
  return reading.status === 'read' && isNoId(reading.value) ? PLACEHOLDER : reading
}

/**
 * The id for an event that came without one: `order-<event_name>-<order_id>`. The same on every retry; the name in it
 * keeps an order's checkout and its refund apart. A browser tag that sends the same id is deduplicated against it.
 */
export function deriveEventId(eventName: string, orderId: string): string {
  return `order-${eventName}-${orderId}`
}

const UNUSABLE_TEXT = invalid('unusable_text', 'must be well-formed text without control characters')
const LOST_DIGITS = invalid('unusable_text', 'must be text, since a number beyond 2^53 loses digits in JSON')
// oxlint-disable-next-line no-control-regex -- it matches control characters
const CONTROL = /[\u0000-\u001f\u007f]/

/** Ids and names are stored in the clear, and not every database stores U+0000. */
export function identifier(value: unknown, maxLength: number): Reading<string> {
  const reading = text(value)
  if (reading.status === 'absent') return reading
  if (reading === OUT_OF_RANGE) return LOST_DIGITS
  if (reading.status !== 'read' || CONTROL.test(reading.value)) return UNUSABLE_TEXT
  if (reading.value.length > maxLength) {
    return invalid('unusable_text', `must be at most ${maxLength} characters long`)
  }
  return read(reading.value)
}

/** Nearly all ids have a digit, and no bracket or quote. */
const PLAIN_ID = /^(?!-1$)(?=[^1-9]*[1-9])[\w.:-]*$/
/** Some shops hash the order's number to an id, whether there is one or not. MD5 in hex. */
const SHORTEST_HASH = 32
const NO_LETTER_OR_DIGIT = /^(?:0|[^\p{L}\p{N}])*$/u
/** `order-undefined`, `null_null`: a program had no value. With a digit, the rest may identify an event. */
const WRITTEN_OF_NOTHING =
  /^\P{N}*(?<![\p{L}\p{N}])(?:undefined|null|nan|none|nil|false|unknown|\[object object\])(?![\p{L}\p{N}])\P{N}*$/iu

function isNoId(id: string): boolean {
  if (id.length > MAX_EVENT_ID_LENGTH) return false
  if (PLAIN_ID.test(id)) {
    return id.length >= SHORTEST_HASH && (NOTHING_AS_ID.is(id) || NOTHING_AS_ID.isHashed(id.toLowerCase()))
  }
  return (
    NO_LETTER_OR_DIGIT.test(id) || NOTHING_AS_ID.is(id) || holdsTemplate(id) || WRITTEN_OF_NOTHING.test(id)
  )
}
