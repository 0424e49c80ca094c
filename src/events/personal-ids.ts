/**
 * The ids by which support finds an event, in the trail and among dead letters: the sender's own, kept in the clear. Some shops send a customer's address, name or
 * number as an id: what has the shape of one, or repeats the event's customer data, is left out, and the event is not found by it.
 * A number alone may be an order's as well as a phone's: it is left out only where the event itself says that it is one.
 */
import { sha256Hex } from './hash.ts'
import { listOr } from './lists.ts'
import { foldName } from './normalize/fold.ts'
import { isObject } from './reading.ts'
import { MAX_EVENT_ID_LENGTH, type UserData } from './schema.ts'

/** Null where it may be personal, undefined where there is none. */
export interface TrailIds {
  readonly eventId: string | null | undefined
  readonly orderId: string | null | undefined
}

const SHORTEST_PHONE = 7
const LONGEST_PHONE = 15
/** With what people write between its digits. */
const LONGEST_WRITTEN_PHONE = 40
/** Shorter values are part of most ids; of names also those from three letters on that are a word of the id. */
const SHORTEST_VALUE = 5
const SHORTEST_NAME = 3
const MOST_SHORT_NAMES = 20
/** What is before the `@`: `order`, `sales` and `shop` are part of many ids. */
const SHORTEST_LOCAL_PART = 6
const HASH_LENGTH = 64
/** Twenty of each field. */
const MOST_VALUES = 320
/** Nobody nests customer data deeper. */
const DEEPEST = 4
/** Three groups of digits have three at most, eight groups some twenty. */
const MOST_RUNS = 32

/**
 * `userData`: as it came. `prepared`: what was made of it, if it was. Each event pays for this: half a µs, two where an id has words or
 * as many digits as a phone, and half of one for each hash of digits in an id.
 */
export function trailIdsOf(
  eventId: string | undefined,
  orderId: string | undefined,
  userData: unknown,
  prepared?: Partial<UserData>,
): TrailIds {
  const event = unlessPersonal(eventId)
  const order = unlessPersonal(orderId)
  if (!isObject(userData)) return { eventId: event, orderId: order }
  const eventRuns = runsOf(event ?? '')
  const orderRuns = runsOf(order ?? '')
  const values: Values = {
    longestId: Math.max(event?.length ?? 0, order?.length ?? 0),
    hasRuns: eventRuns.length + orderRuns.length > 0,
    letters: lettersOf(event ?? '') | lettersOf(order ?? ''),
    prepared,
    count: 0,
    texts: [],
    words: [],
    shortNames: [],
    numbers: [],
    hashes: [],
  }
  for (const key in userData) {
    // A customer's number is no personal datum to those who do not know the shop, and some send the order's for it.
    if (key === 'external_id') continue
    const value = listOr(userData[key])
    if (key === 'fn' || key === 'ln') noteShortNames(values, value)
    noteAll(values, value, DEEPEST)
  }
  // Nobody sends so many: comparing them all would take the time of others.
  if (values.count > MOST_VALUES) return { eventId: hide(eventId), orderId: hide(orderId) }
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
  values: Values,
  cleared: readonly string[],
): boolean {
  const { texts, words, shortNames, numbers, hashes } = values
  const lower = id.toLowerCase()
  if (isAnyIn(texts, lower) || (words.length > 0 && isAnyIn(words, fold(id)))) return true
  if (shortNames.length > 0 && isWordOf(id, lower, shortNames)) return true
  if (id.length >= HASH_LENGTH && isOwnHash(lower, values)) return true
  if (runs.length === 0 || numbers.length + hashes.length === 0) return false
  if (runs.length > MOST_RUNS) return true
  for (const run of runs) {
    if (!cleared.includes(run) && (isAnyIn(numbers, run) || isHashed(run, hashes))) return true
  }
  return false
}

/** What the ids are compared with. */
interface Values {
  readonly longestId: number
  readonly hasRuns: boolean
  /** Of the ids: see `lettersOf`. */
  readonly letters: number
  readonly prepared: Partial<UserData> | undefined
  count: number
  /** Lower-case; those that an id may contain. */
  readonly texts: string[]
  /** Folded. */
  readonly words: string[]
  readonly shortNames: string[]
  /** The last digits of values that may be phones: without the code of a country, or the zero in its place. */
  readonly numbers: string[]
  /** As they came. */
  readonly hashes: string[]
}

function noteAll(values: Values, value: unknown, depth: number): void {
  if (typeof value === 'string' || typeof value === 'number') return note(values, String(value).trim())
  if (typeof value !== 'object' || value === null || depth === 0) return
  for (const one of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) {
    if (values.count <= MOST_VALUES) noteAll(values, one, depth - 1)
  }
}

/** Most are hashes, or longer than the ids: nothing is done with those. */
function note(values: Values, text: string): void {
  const { length } = text
  if (length < SHORTEST_VALUE) return
  values.count++
  if (length <= values.longestId) values.texts.push(text.toLowerCase())
  if (length >= HASH_LENGTH) {
    if (length === HASH_LENGTH) values.hashes.push(text)
    return
  }
  if (mayHold(values.letters, text) && LETTER.test(text)) {
    const word = fold(wordsOf(text))
    if (word.length >= SHORTEST_VALUE && word.length <= values.longestId) values.words.push(word)
  }
  if (!values.hasRuns || length >= LONGEST_WRITTEN_PHONE) return
  const digits = digitsOf(text)
  if (digits.length >= SHORTEST_PHONE) values.numbers.push(digits.slice(-SHORTEST_PHONE))
}

function noteShortNames({ shortNames }: Values, value: unknown): void {
  for (const name of Array.isArray(value) ? (value as unknown[]) : [value]) {
    const { length } = typeof name === 'string' ? name.trim() : ''
    if (length < SHORTEST_NAME || length >= SHORTEST_VALUE || shortNames.length >= MOST_SHORT_NAMES) continue
    const word = fold(name as string)
    if (word.length > 1) shortNames.push(word)
  }
}

function isWordOf(id: string, lower: string, names: readonly string[]): boolean {
  // Splitting takes ten times as long. Behind `a`, `o` and `u` folding took an `e`: `aebi` is `abi`.
  if (ASCII.test(lower) && !names.some((name) => lower.includes(/^[aou]|^../.exec(name)![0]))) return false
  return id.split(BETWEEN_WORDS).some((word) => names.includes(fold(word)))
}

/** Also in `JaneDoe`. */
const BETWEEN_WORDS = /[^\p{L}\p{M}]+|(?<=\p{Ll})(?=\p{Lu})/u

/** Of an address what is before the `@`, or before `+shop@`, if that alone says who it is. */
function wordsOf(text: string): string {
  const end = text.search(/[+@]/)
  return end < SHORTEST_LOCAL_PART ? text : text.slice(0, end)
}

/** A bit for each that is in it; all where one is beyond ASCII, since it may be folded to any. */
function lettersOf(text: string): number {
  let letters = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x80) return -1
    letters |= bitOf(code)
  }
  return letters
}

function bitOf(code: number): number {
  const letter = (code | 0x20) - 0x61
  return letter >= 0 && letter < 26 ? 1 << letter : 0
}

const LETTER = /[a-z\u0080-\uffff]/i

/** Folding drops it. */
const LETTER_E = bitOf(0x65)

/** Whether ids of these letters may hold the words of the text. Nearly none may, and folding takes ten times as long. */
function mayHold(letters: number, text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (at >= SHORTEST_LOCAL_PART && (code === 0x40 || code === 0x2b)) return true
    if ((bitOf(code) & ~(letters | LETTER_E)) !== 0) return false
  }
  return true
}

/** `Müller-Lüdenscheidt` and `MUELLER.LUEDENSCHEIDT` are one: letters and digits without marks, and without the e of ae, oe and ue. */
function fold(text: string): string {
  const lower = text.toLowerCase()
  // Half the time.
  if (ASCII.test(lower)) return lower.replace(/(?<=[aou])e|[^a-z0-9]+/g, '')
  return foldName(lower).replace(/(?<=[aou])e/g, '')
}

const ASCII = /^[\0-\x7f]*$/

/** Whether it is the hash of what came raw. `texts`: all that an id of this length may be the hash of. */
function isOwnHash(lower: string, { prepared, texts }: Values): boolean {
  if (!HASH.test(lower)) return false
  if (prepared === undefined) return isAnyIn(texts.map(sha256Hex), lower)
  for (const [name, value] of Object.entries(prepared)) {
    if (name !== 'external_id' && typeof value !== 'string' && isAnyIn(value, lower)) return true
  }
  return false
}

const HASH = /[\da-f]{64}/

function isAnyIn(values: readonly string[], text: string): boolean {
  for (const value of values) if (value.length <= text.length && text.includes(value)) return true
  return false
}

/**
 * Digits that may be a phone's: groups as written, and without what people write between them, from any group to any later one, since
 * others may be joined to a number (`2026-415-555-2671-1`).
 */
function runsOf(id: string): readonly string[] {
  const runs: string[] = []
  for (const chain of id.match(GROUPS_OF_DIGITS) ?? NONE) {
    const groups = chain.split(NOT_DIGITS)
    for (const first of groups.keys()) {
      let run = ''
      for (let at = first; at < groups.length && runs.length <= MOST_RUNS; at++) {
        run += groups[at]!
        if (run.length >= SHORTEST_PHONE) runs.push(run)
      }
    }
  }
  return runs
}

const GROUPS_OF_DIGITS = /\d[\d ()./_-]{5,}\d/g
const NOT_DIGITS = /\D+/g

/** Without those of an extension; empty for fewer than a phone has, as nearly all values. */
function digitsOf(text: string): string {
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x30 && code <= 0x39) count++
  }
  return count < SHORTEST_PHONE ? '' : text.replace(EXTENSION, '').replace(NOT_DIGITS, '')
}

const EXTENSION = /[x#;](?<=(?:\d\D*){7}.).*$/is

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
