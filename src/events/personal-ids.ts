/**
 * The ids by which support finds an event: the sender's own, kept in the clear. Some shops send a customer's address or number
 * as an id: what looks like one, or holds what the event says of its customer, is left out, and the event is not found by it.
 * A number alone may be an order's as well as a phone's: it is left out only where the event itself says that it is one.
 */
import { sha256Hex } from './hash.ts'
import { listOr } from './lists.ts'
import { isObject } from './reading.ts'
import { MAX_EVENT_ID_LENGTH } from './schema.ts'

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

/** `userData`: as it came. Each event pays for this. */
export function trailIdsOf(
  eventId: string | undefined,
  orderId: string | undefined,
  userData: unknown,
): TrailIds {
  const values = isObject(userData) ? valuesOf(userData) : []
  const known = (id: string | undefined) =>
    id === undefined || looksPersonal(id) || isOfCustomer(id.toLowerCase(), values) ? undefined : id
  return { eventId: known(eventId), orderId: known(orderId) }
}

function valuesOf(userData: Readonly<Record<string, unknown>>): readonly string[] {
  const values: string[] = []
  const add = (value: unknown) => {
    if (typeof value !== 'string' && typeof value !== 'number') return
    const text = String(value).toLowerCase()
    if (text.length >= SHORTEST_VALUE) values.push(text)
  }
  for (const key in userData) {
    // A customer's number is no personal datum to those who do not know the shop, and some send the order's for it.
    if (key === 'external_id') continue
    const value = listOr(userData[key])
    if (Array.isArray(value)) for (const one of value) add(one)
    else add(value)
  }
  return values
}

function isOfCustomer(id: string, values: readonly string[]): boolean {
  if (values.some((value) => id.includes(value))) return true
  const runs = runsOf(id)
  if (runs.length === 0) return false
  const hashes = values.some(({ length }) => length === HASH_LENGTH) ? runs.map(sha256Hex) : []
  return values.some(
    (value) =>
      hashes.includes(value) ||
      // With or without the code of its country.
      (value.length >= SHORTEST_PHONE &&
        value.length < LONGEST_PHONE &&
        isNumberIn(runs, value.replaceAll(/\D/g, ''))),
  )
}

/** Digits that may be a phone's, as they stand and without what is between them; each once. */
function runsOf(id: string): readonly string[] {
  const joined = id.replaceAll(BETWEEN_DIGITS, '')
  const runs = joined.match(PHONE_DIGITS) ?? []
  return joined === id ? runs : [...new Set([...runs, ...(id.match(PHONE_DIGITS) ?? [])])]
}

function isNumberIn(runs: readonly string[], digits: string): boolean {
  return digits.length >= SHORTEST_PHONE && runs.some((run) => digits.endsWith(run) || run.endsWith(digits))
}

const EMAIL = /\S(?:@|%40)\S/i
const PHONE = /\+\d[\d ()./-]{5,}\d|\(\d{2,5}\)|^\d[\d./-]*(?: [\d./-]+)+$/
const ADDRESS = /\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-f]{0,4}:){3,}/i
/** With its query, which may say who clicked. */
const URL_OF_PAGE = /:\/\//
/** Nearly all ids: of none of these shapes. */
const PLAIN = /^[\w#-]{0,100}$/

/** What the shape of an id says alone: a customer's address, number or page is kept nowhere in the clear. */
export function looksPersonal(id: string): boolean {
  if (PLAIN.test(id)) return false
  const isOfShape = [EMAIL, PHONE, ADDRESS, URL_OF_PAGE].some((shape) => shape.test(id))
  return isOfShape || id.length > MAX_EVENT_ID_LENGTH
}
