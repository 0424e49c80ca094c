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

const SHORTEST_PHONE = 7
const LONGEST_PHONE = 15
/** With what people write between its digits. */
const LONGEST_WRITTEN_PHONE = 40
/** Shorter values are part of most ids. */
const SHORTEST_VALUE = 5
const HASH_LENGTH = 64
/** Twenty of each field. */
const MOST_VALUES = 320
/** Three groups of digits have three at most, eight groups some twenty. */
const MOST_RUNS = 32

/** `userData`: as it came. Each event pays for this: some 2 µs, half of them for hashes where the sender hashes. */
export function trailIdsOf(
  eventId: string | undefined,
  orderId: string | undefined,
  userData: unknown,
): TrailIds {
  const { texts, hashes } = isObject(userData)
    ? valuesOf(userData, Math.max(eventId?.length ?? 0, orderId?.length ?? 0))
    : NO_VALUES
  // Nobody sends so many: comparing them all would take the time of others.
  if (texts.length + hashes.length > MOST_VALUES) return { eventId: undefined, orderId: undefined }
  let numbers: readonly string[] | undefined
  /** Of many an order both ids end with its number. */
  const cleared: string[] = []
  const isPersonal = (id: string) => {
    if (looksPersonal(id) || isAnyIn(texts, id)) return true
    const runs = runsOf(id)
    if (runs.length === 0) return false
    numbers ??= numbersOf(texts)
    if (numbers.length + hashes.length === 0) return false
    if (runs.length > MOST_RUNS) return true
    for (const run of runs) {
      if (cleared.includes(run)) continue
      if (isNumberOf(run, numbers) || isHashed(run, hashes)) return true
      cleared.push(run)
    }
    return false
  }
  const known = (id: string | undefined) => (id === undefined || isPersonal(id) ? undefined : id)
  return { eventId: known(eventId), orderId: known(orderId) }
}

interface Values {
  /** Lower-case; those that an id may contain, and phones. */
  readonly texts: readonly string[]
  /** As they came. */
  readonly hashes: readonly string[]
}

const NO_VALUES: Values = { texts: [], hashes: [] }

/** Most values are hashes, or longer than the ids: nothing is done with those. */
function valuesOf(userData: Readonly<Record<string, unknown>>, longestId: number): Values {
  const longest = Math.max(longestId, LONGEST_WRITTEN_PHONE)
  const texts: string[] = []
  const hashes: string[] = []
  const add = (value: unknown) => {
    if (typeof value !== 'string' && typeof value !== 'number') return
    const text = String(value)
    const { length } = text
    if (length === HASH_LENGTH) hashes.push(text)
    if (length >= SHORTEST_VALUE && length <= longest) texts.push(text.toLowerCase())
  }
  for (const key in userData) {
    // A customer's number is no personal datum to those who do not know the shop, and some send the order's for it.
    if (key === 'external_id') continue
    const value = listOr(userData[key])
    if (Array.isArray(value)) for (const one of value) add(one)
    else add(value)
  }
  return { texts, hashes }
}

function isAnyIn(texts: readonly string[], id: string): boolean {
  if (texts.length === 0) return false
  const lower = id.toLowerCase()
  for (const text of texts) if (text.length <= lower.length && lower.includes(text)) return true
  return false
}

/**
 * Digits that may be a phone's: groups as written, and without what people write between them, from any group to any later one, since
 * others may be joined to a number (`2026-415-555-2671-1`). An expression takes five times as long.
 */
function runsOf(id: string): readonly string[] {
  const runs: string[] = []
  /** Each from another group to the last one. */
  let open: string[] = []
  let from = -1
  for (let at = 0; at <= id.length; at++) {
    const code = id.charCodeAt(at)
    if (isDigit(code)) {
      if (from < 0) from = at
      continue
    }
    if (from >= 0) {
      const run = id.slice(from, at)
      from = -1
      open = open.length === 0 ? [run] : [...open.map((before) => before + run), run]
      for (const one of open) if (one.length >= SHORTEST_PHONE) runs.push(one)
      if (runs.length > MOST_RUNS) return runs
    }
    if (!isBetweenDigits(code)) open = []
  }
  return runs
}

/** Digits of values that may be phones. */
function numbersOf(texts: readonly string[]): readonly string[] {
  const numbers: string[] = []
  for (const text of texts) {
    if (text.length < SHORTEST_PHONE || text.length >= LONGEST_WRITTEN_PHONE) continue
    const digits = text.replace(NO_DIGITS, '')
    if (digits.length >= SHORTEST_PHONE) numbers.push(digits)
  }
  return numbers
}

const NO_DIGITS = /[^0-9]+/g

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** A space, brackets, a hyphen, a dot or a slash. */
function isBetweenDigits(code: number): boolean {
  return code === 0x20 || code === 0x28 || code === 0x29 || (code >= 0x2d && code <= 0x2f)
}

/** With or without the code of its country. */
function isNumberOf(run: string, numbers: readonly string[]): boolean {
  for (const digits of numbers) if (digits.endsWith(run) || run.includes(digits)) return true
  return false
}

function isHashed(run: string, hashes: readonly string[]): boolean {
  if (hashes.length === 0 || run.length > LONGEST_PHONE) return false
  const hash = sha256Hex(run)
  // Nearly all differ there, whether in lower case or not: comparing them whole takes ten times as long.
  const first = hash.charCodeAt(0)
  for (const one of hashes) {
    if ((one.charCodeAt(0) | 0x20) === first && one.toLowerCase() === hash) return true
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
  return (
    id.length > MAX_EVENT_ID_LENGTH || [EMAIL, PHONE, ADDRESS, URL_OF_PAGE].some((shape) => shape.test(id))
  )
}
