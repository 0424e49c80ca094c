/**
 * The ids by which support finds an event, in the trail and among dead letters: the sender's own, kept in the clear. Some shops send a customer's address or number
 * as an id: what looks like one, or contains the event's customer data, is left out, and the event is not found by it.
 * A number alone may be an order's as well as a phone's: it is left out only where the event itself says that it is one.
 */
import { sha256Hex } from './hash.ts'
import { listOr } from './lists.ts'
import { isObject, type RawObject } from './reading.ts'
import { MAX_EVENT_ID_LENGTH } from './schema.ts'

/** Null where it may be personal, undefined where there is none. */
export interface TrailIds {
  readonly eventId: string | null | undefined
  readonly orderId: string | null | undefined
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

/** `userData`: as it came. Each event pays for this: half a µs, and as much again for each hash of digits in an id. */
export function trailIdsOf(
  eventId: string | undefined,
  orderId: string | undefined,
  userData: unknown,
): TrailIds {
  const event = unlessPersonal(eventId)
  const order = unlessPersonal(orderId)
  if (!isObject(userData)) return { eventId: event, orderId: order }
  const eventRuns = runsOf(event ?? '')
  const orderRuns = runsOf(order ?? '')
  const hasRuns = eventRuns.length + orderRuns.length > 0
  const values = valuesOf(userData, Math.max(event?.length ?? 0, order?.length ?? 0), hasRuns)
  // Nobody sends so many: comparing them all would take the time of others.
  if (values === undefined) return { eventId: hide(eventId), orderId: hide(orderId) }
  const isEventKept = event != null && !isPersonal(event, eventRuns, values, NONE)
  // Of many an order both ids end with its number.
  const cleared = isEventKept ? eventRuns : NONE
  const isOrderKept = order != null && !isPersonal(order, orderRuns, values, cleared)
  return { eventId: isEventKept ? event : hide(eventId), orderId: isOrderKept ? order : hide(orderId) }
}

/** By its shape alone. */
export function unlessPersonal(id: string | undefined): string | null | undefined {
  return id !== undefined && looksPersonal(id) ? null : id
}

const hide = (id: string | undefined) => (id === undefined ? undefined : null)

const NONE: readonly string[] = []

/** `cleared`: runs that are nobody's number. */
function isPersonal(
  id: string,
  runs: readonly string[],
  { texts, numbers, hashes }: Values,
  cleared: readonly string[],
): boolean {
  if (isAnyIn(texts, id)) return true
  if (runs.length === 0 || numbers.length + hashes.length === 0) return false
  if (runs.length > MOST_RUNS) return true
  for (const run of runs) {
    if (!cleared.includes(run) && (isNumberOf(run, numbers) || isHashed(run, hashes))) return true
  }
  return false
}

interface Values {
  /** Lower-case; those that an id may contain. */
  readonly texts: string[]
  /** Digits of values that may be phones. */
  readonly numbers: string[]
  /** As they came. */
  readonly hashes: string[]
}

/** Undefined if they are too many. Most are hashes, or longer than the ids: nothing is done with those. */
function valuesOf(userData: RawObject, longestId: number, hasRuns: boolean): Values | undefined {
  const values = { texts: [], numbers: [], hashes: [] }
  let count = 0
  for (const key in userData) {
    // A customer's number is no personal datum to those who do not know the shop, and some send the order's for it.
    if (key === 'external_id') continue
    const value = listOr(userData[key])
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const one of list) note(values, one, longestId, hasRuns)
    count += list.length
    if (count > MOST_VALUES) return undefined
  }
  return values
}

function note({ texts, numbers, hashes }: Values, value: unknown, longestId: number, hasRuns: boolean): void {
  if (typeof value !== 'string' && typeof value !== 'number') return
  const text = String(value)
  const { length } = text
  if (length === HASH_LENGTH) hashes.push(text)
  if (length >= SHORTEST_VALUE && length <= longestId) texts.push(text.toLowerCase())
  if (!hasRuns || length >= LONGEST_WRITTEN_PHONE) return
  const digits = digitsOf(text)
  if (digits.length >= SHORTEST_PHONE) numbers.push(digits)
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
    const code = at < id.length ? id.charCodeAt(at) : 0
    if (isDigit(code)) {
      if (from < 0) from = at
      continue
    }
    if (from >= 0) {
      const group = id.slice(from, at)
      from = -1
      for (let index = 0; index < open.length; index++) open[index] += group
      open.push(group)
      for (const run of open) if (run.length >= SHORTEST_PHONE) runs.push(run)
      if (runs.length > MOST_RUNS) return runs
    }
    if (open.length > 0 && !isBetweenDigits(code)) open = []
  }
  return runs
}

function digitsOf(text: string): string {
  let digits = ''
  let from = -1
  for (let at = 0; at < text.length; at++) {
    if (isDigit(text.charCodeAt(at))) {
      if (from < 0) from = at
    } else if (from >= 0) {
      digits += text.slice(from, at)
      from = -1
    }
  }
  return from < 0 ? digits : digits + text.slice(from)
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** A space, brackets, a hyphen, a dot or a slash. */
function isBetweenDigits(code: number): boolean {
  return code === 0x20 || code === 0x28 || code === 0x29 || (code >= 0x2d && code <= 0x2f)
}

/** With or without the code of its country. */
function isNumberOf(run: string, numbers: readonly string[]): boolean {
  for (const digits of numbers) {
    if (digits.length < run.length ? run.includes(digits) : digits.endsWith(run)) return true
  }
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
