/**
 * Rules of single values: flags and words, text, and numbers, which are read by one strict grammar. Case and white space around do
 * not matter; blank text is absent.
 */
import type { InvalidReason } from '../reasons.ts'
import { decodeEntities, withoutInvisible } from '../normalize/clean-text.ts'
import {
  ABSENT,
  dropped,
  invalid,
  OUT_OF_RANGE,
  read,
  type Reading,
  type Rule,
  TOO_LONG,
  WRONG_TYPE,
} from '../reading.ts'

/** `true`, `"true"`, `1`, `"1"` and their opposites. */
export function flag(value: unknown): Reading<boolean> {
  if (typeof value === 'boolean') return read(value)
  const word = typeof value === 'string' ? value.trim().toLowerCase() : value
  switch (word) {
    case 'true':
    case '1':
    case 1:
      return read(true)
    case 'false':
    case '0':
    case 0:
      return read(false)
    case '':
      return ABSENT
    default:
      return WRONG_TYPE
  }
}

export function oneOf<Word extends string>(words: readonly Word[]): Rule<Word> {
  const known = new Map<string, Word>(words.map((word) => [word, word]))
  return (value) => {
    if (typeof value !== 'string') return WRONG_TYPE
    const text = value.trim().toLowerCase()
    const word = known.get(text)
    if (word !== undefined) return read(word)
    return text === '' ? ABSENT : OUT_OF_RANGE
  }
}

/** Where what cannot be read costs the event. */
export function demanded<T>(rule: Rule<T>, reason: InvalidReason, expected: string): Rule<T> {
  const unreadable = invalid(reason, `must be ${expected}`)
  return (value) => {
    const reading = rule(value)
    return reading.status === 'dropped' ? unreadable : reading
  }
}

/** Text of at most `maxLength` UTF-16 units, which is never more than Pinterest counts. */
export function textUpTo(maxLength: number): Rule<string> {
  return (value) => {
    const reading = text(value)
    return reading.status === 'read' && reading.value.length > maxLength ? TOO_LONG : reading
  }
}

/**
 * Trimmed. Numbers become text, since many shops have numeric ids; but a whole number beyond 2^53 lost digits when its JSON was
 * parsed, and would be another id.
 */
export function text(value: unknown): Reading<string> {
  if (typeof value === 'number') return numberAsText(value)
  if (typeof value !== 'string' || !value.isWellFormed()) return WRONG_TYPE
  const trimmed = value.trim()
  return trimmed === '' ? ABSENT : read(trimmed)
}

/** Text that shops store as their forms escaped it, such as names of products and addresses of pages. */
export function decodedText(value: unknown): Reading<string> {
  const reading = text(value)
  return reading.status === 'read' && reading.value.includes(';')
    ? text(decodeEntities(reading.value))
    : reading
}

/** What a customer searched for; some type their own e-mail address. */
export function searchString(value: unknown): Reading<string> {
  const reading = decodedText(value)
  if (reading.status !== 'read' || !EMAIL.test(reading.value.replace(OTHER_AT, '@'))) return reading
  return dropped('raw_email')
}

/** As addresses of pages and Japanese keyboards have it. */
const OTHER_AT = /%(?:25)*40|\uff20/g
const EMAIL = /[^\s@]@[^\s@]+[.\uff0e\u3002][^\s@]/

/** Of a page: links and forms of shops put the customer's e-mail address into the query, and Pinterest must get none raw. */
export function pageAddress(value: unknown): Reading<string> {
  const reading = decodedText(value)
  if (reading.status !== 'read' || !AT.test(reading.value)) return reading
  const url = reading.value
  // A longer query is no page's, and goes as a whole.
  const [page = '', ...parameters] =
    url.length > LONGEST_SEARCHED ? url.split(/[?&#;]/, 1) : url.split(/(?<=[?&#;])/)
  const kept = page + parameters.map(withoutEmail).join('')
  return kept === url ? reading : { ...read(kept), warning: 'raw_email' }
}

const LONGEST_SEARCHED = 8192
const AT = /@|%(?:25)*40/
/** With something before it, so not that of a `@brand`. */
const AT_WITHIN = /(?<=[^=])(?:@|%(?:25)*40)/
const DOT = /\.|%(?:25)*2e/i

/** `email=jane%40example.com&` is `email=&`. */
function withoutEmail(parameter: string): string {
  const at = parameter.search(AT_WITHIN)
  if (at < 0 || !DOT.test(parameter.slice(at))) return parameter
  const start = parameter.lastIndexOf('=', at) + 1
  return parameter.slice(0, start) + (/[?&#;]$/.exec(parameter)?.[0] ?? '')
}

function numberAsText(value: number): Reading<string> {
  if (!Number.isFinite(value)) return WRONG_TYPE
  const plain = Math.abs(value) > Number.MAX_SAFE_INTEGER ? undefined : writePlain(value)
  return plain === undefined ? OUT_OF_RANGE : read(plain)
}

const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$/
/** Finite. */
const PLAIN_LENGTH = 32
const PLAIN_AMOUNT = /^[0-9]+(?:\.[0-9]+)?$/
const PLAIN_DECIMAL = /^-?[0-9]+(?:\.[0-9]+)?$/

/** Above the longest double in plain notation; keeps one value from becoming megabytes of digits. */
const MAX_LENGTH = 400

/** Of a number in exponent notation; no amount of money has more. A thousand times `1e308` would be 309,000 digits. */
const MAX_ZEROS = 30

const NOT_A_NUMBER = invalid('not_a_number', 'must be a finite number, or text such as 72.39')
const TOO_MANY_DIGITS = invalid('not_a_number', `must be a number of at most ${MAX_ZEROS} digits`)

/**
 * Money as plain decimal text: `72.39`, exactly the number that was sent. A decimal comma, thousands separators and currency signs
 * are not guessed at: `1,234` is a thousand in one country and about one in the next.
 */
export function decimal(value: unknown): Reading<string> {
  // The common case.
  if (typeof value === 'string' && value.length <= PLAIN_LENGTH && PLAIN_AMOUNT.test(value))
    return read(value)
  const number = toNumber(value)
  if (number === undefined) return isBlank(value) ? ABSENT : NOT_A_NUMBER
  const text = typeof value === 'string' ? value.trim() : undefined
  if (text !== undefined && PLAIN_DECIMAL.test(text))
    return read(number === 0 && text.startsWith('-') ? text.slice(1) : text)
  const plain = writePlain(number)
  return plain === undefined ? TOO_MANY_DIGITS : read(plain)
}

/** A whole number that JSON keeps exactly; it writes a negative zero as 0. */
export function integerBetween(minimum: number, maximum: number): Rule<number> {
  return (value) => {
    const number = toNumber(value)
    if (number === undefined) return isBlank(value) ? ABSENT : WRONG_TYPE
    return Number.isSafeInteger(number) && number >= minimum && number <= maximum
      ? read(number)
      : OUT_OF_RANGE
  }
}

const anyInteger = integerBetween(-Infinity, Infinity)

/** Counts: invalid when it is no number at all; a number that is not a whole, safe one is left out. */
export function count(value: unknown): Reading<number> {
  const reading = anyInteger(value)
  return reading === WRONG_TYPE ? NOT_A_NUMBER : reading
}

/** Absent: an empty column of a file, a space, an invisible character. */
export function isBlank(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_LENGTH && withoutInvisible(value).trim() === ''
}

/** A finite number from a number or its text; undefined for anything else. */
export function toNumber(value: unknown): number | undefined {
  if (typeof value === 'string' && (value.length > MAX_LENGTH || !NUMBER.test(value.trim()))) return undefined
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

/** Decimal notation without exponent, with the fewest digits that give the same double; undefined if they are too many. */
function writePlain(number: number): string | undefined {
  const shortest = String(number === 0 ? 0 : number)
  const mark = shortest.indexOf('e')
  if (mark === -1) return shortest
  const exponent = Math.abs(Number(shortest.slice(mark + 1)))
  return exponent > MAX_ZEROS ? undefined : WITHOUT_EXPONENT.format(number)
}

const WITHOUT_EXPONENT = new Intl.NumberFormat('en', { useGrouping: false, maximumSignificantDigits: 21 })
