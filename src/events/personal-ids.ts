/**
 * The ids by which support finds an event: the sender's own, kept in the clear. Some shops send a customer's address or number
 * as an id: what looks like one, or contains the event's customer data, is left out, and the event is not found by it.
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
const NO_DIGITS = /\D+/g
const SHORTEST_PHONE = 7
/** What people write between a number's digits. */
const BETWEEN_DIGITS = /(?<=\d)[-./() ]+(?=\d)/g
/** Shorter values are part of most ids. */
const SHORTEST_VALUE = 5
const LONGEST_PHONE = 40
const HASH_LENGTH = 64

/** `userData`: as it came. Each event pays for this: some 4 µs, half of them for hashes. */
export function trailIdsOf(
  eventId: string | undefined,
  orderId: string | undefined,
  userData: unknown,
): TrailIds {
  const values = isObject(userData) ? valuesOf(userData) : []
  let numbers: readonly string[] | undefined
  let ruledOut: string | undefined
  const isPersonal = (id: string) => {
    if (looksPersonal(id) || isAnyIn(values, id.toLowerCase())) return true
    for (const run of runsOf(id)) {
      // Of many an order both ids end with its number.
      if (run === ruledOut) continue
      numbers ??= numbersOf(values)
      if (isNumberOf(run, numbers) || isHashed(run, values)) return true
      ruledOut = run
    }
    return false
  }
  const known = (id: string | undefined) => (id === undefined || isPersonal(id) ? undefined : id)
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

function isAnyIn(values: readonly string[], id: string): boolean {
  for (const value of values) if (value.length <= id.length && id.includes(value)) return true
  return false
}

/** Digits that may be a phone's, as written and without what is between them. */
function runsOf(id: string): readonly string[] {
  const runs = id.match(PHONE_DIGITS) ?? []
  if (id.search(BETWEEN_DIGITS) < 0) return runs
  return [...(id.replaceAll(BETWEEN_DIGITS, '').match(PHONE_DIGITS) ?? []), ...runs]
}

/** Digits of values that may be phones. */
function numbersOf(values: readonly string[]): readonly string[] {
  const numbers: string[] = []
  for (const value of values) {
    if (value.length < SHORTEST_PHONE || value.length >= LONGEST_PHONE) continue
    if (countDigits(value) >= SHORTEST_PHONE) numbers.push(value.replaceAll(NO_DIGITS, ''))
  }
  return numbers
}

/** Names and places have none; an expression takes ten times as long to find that. */
function countDigits(value: string): number {
  let count = 0
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index)
    if (code >= 0x30 && code <= 0x39) count += 1
  }
  return count
}

/** With or without the code of its country. */
function isNumberOf(run: string, numbers: readonly string[]): boolean {
  return numbers.some((digits) => digits.endsWith(run) || run.endsWith(digits))
}

function isHashed(run: string, values: readonly string[]): boolean {
  let hash: string | undefined
  for (const value of values) {
    if (value.length !== HASH_LENGTH) continue
    hash ??= sha256Hex(run)
    // Nearly all differ there: comparing them whole takes ten times as long.
    if (value.charCodeAt(0) === hash.charCodeAt(0) && value === hash) return true
  }
  return false
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
