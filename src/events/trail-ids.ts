/**
 * The ids by which support finds an event: the sender's own, kept in the clear. Some shops send a customer's address or number
 * as an id: what looks like one, or holds what the event says of its customer, is left out, and the event is not found by it.
 * A number alone may be an order's as well as a phone's: it is left out only where the event itself says that it is one.
 */
import { isObject } from './coerce/object.ts'
import { sha256Hex } from './hash.ts'
import { listOr } from './lists.ts'
import { looksPersonal } from './personal-ids.ts'

export interface TrailIds {
  readonly eventId: string | undefined
  readonly orderId: string | undefined
}

const PHONE_DIGITS = /\d{7,15}/g
const SHORTEST_PHONE = 7
/** What people write between a number's digits. */
const BETWEEN_DIGITS = /(?<=\d)[-./() ]+(?=\d)/g
/** Shorter values are part of most ids. */
const SHORTEST_VALUE = 5
const LONGEST_PHONE = 40
const HASH_LENGTH = 64

/** `userData`: as it came. */
export function trailIdsOf(
  eventId: string | undefined,
  orderId: string | undefined,
  userData: unknown,
): TrailIds {
  const values = isObject(userData) ? valuesOf(userData) : []
  const [event, order] = [eventId, orderId].map((id) =>
    id === undefined || looksPersonal(id) || isOfCustomer(id.toLowerCase(), values) ? undefined : id,
  )
  return { eventId: event, orderId: order }
}

function valuesOf(userData: Readonly<Record<string, unknown>>): readonly string[] {
  // A customer's number is no personal datum to those who do not know the shop, and some send the order's for it.
  const { external_id: _, ...others } = userData
  return Object.values(others)
    .flatMap(listOr)
    .filter((value) => typeof value === 'string' || typeof value === 'number')
    .map((value) => String(value).toLowerCase())
}

function isOfCustomer(id: string, values: readonly string[]): boolean {
  if (values.some((value) => value.length >= SHORTEST_VALUE && id.includes(value))) return true
  const runs = [id, id.replaceAll(BETWEEN_DIGITS, '')].flatMap((text) => text.match(PHONE_DIGITS) ?? [])
  if (runs.length === 0) return false
  const hashes = values.some(({ length }) => length === HASH_LENGTH) ? [...new Set(runs)].map(sha256Hex) : []
  return values.some(
    (value) =>
      hashes.includes(value) ||
      // With or without the code of its country.
      (value.length < LONGEST_PHONE && isNumberIn(runs, value.replaceAll(/\D/g, ''))),
  )
}

function isNumberIn(runs: readonly string[], digits: string): boolean {
  return digits.length >= SHORTEST_PHONE && runs.some((run) => digits.endsWith(run) || run.endsWith(digits))
}
