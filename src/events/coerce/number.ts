/**
 * Numbers as Pinterest wants them: money as plain decimal text, counts as integers. The text is read by one strict
 * grammar. A decimal comma, thousands separators and currency signs are not guessed at: `1,234` is a thousand in one
 * country and about one in the next.
 */
import { withoutInvisible } from '../normalize/clean-text.ts'
import { ABSENT, OUT_OF_RANGE, read, type Reading, invalid } from './reading.ts'

const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$/
const PLAIN_DECIMAL = /^-?[0-9]+(?:\.[0-9]+)?$/

/** Above the longest double in plain notation; keeps one value from becoming megabytes of digits. */
const MAX_LENGTH = 400

/** Of a number in exponent notation; no amount of money has more. A thousand times `1e308` would be 309,000 digits. */
const MAX_ZEROS = 30

const NOT_A_NUMBER = invalid('not_a_number', 'must be a finite number, or text such as 72.39')
const TOO_MANY_DIGITS = invalid('not_a_number', `must be a number of at most ${MAX_ZEROS} digits`)

/** Money: `72.39`, exactly the number that was sent. Invalid when it is no finite number. */
export function decimal(value: unknown): Reading<string> {
  if (typeof value === 'number') return Number.isFinite(value) ? plain(value) : NOT_A_NUMBER
  const text = numericText(value)
  if (text === undefined) return isBlank(value) ? ABSENT : NOT_A_NUMBER
  return PLAIN_DECIMAL.test(text) ? read(unsignZero(text)) : plain(+text)
}

function plain(number: number): Reading<string> {
  const text = writePlain(number)
  return text === undefined ? TOO_MANY_DIGITS : read(text)
}

/** Counts: invalid when it is no number at all; a number that is not a whole, safe one is left out. */
export function count(value: unknown): Reading<number> {
  const number = toNumber(value)
  if (number === undefined) return isBlank(value) ? ABSENT : NOT_A_NUMBER
  return wholeNumber(number)
}

/** Says nothing: an empty column of a file, a space, a character that nobody sees. */
export function isBlank(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_LENGTH && withoutInvisible(value).trim() === ''
}

/** A finite number from a number or its text; undefined for anything else. */
export function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  const text = numericText(value)
  return text === undefined ? undefined : Number(text)
}

/** A whole number that JSON keeps exactly; it writes a negative zero as 0. */
export function wholeNumber(number: number): Reading<number> {
  return Number.isSafeInteger(number) ? read(number) : OUT_OF_RANGE
}

/** Decimal notation without exponent, with the fewest digits that give the same double; undefined if they are too many. */
export function writePlain(number: number): string | undefined {
  const shortest = String(number === 0 ? 0 : number)
  const mark = shortest.indexOf('e')
  if (mark === -1) return shortest
  const exponent = Number(shortest.slice(mark + 1))
  return Math.abs(exponent) > MAX_ZEROS ? undefined : expand(shortest.slice(0, mark), exponent)
}

function expand(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.')
  const digits = whole + fraction
  return exponent < 0
    ? `${sign}0.${'0'.repeat(-exponent - whole.length)}${digits}`
    : `${sign}${digits}${'0'.repeat(exponent - fraction.length)}`
}

function numericText(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > MAX_LENGTH) return undefined
  const text = value.trim()
  return NUMBER.test(text) && Number.isFinite(Number(text)) ? text : undefined
}

function unsignZero(text: string): string {
  return text.startsWith('-') && Number(text) === 0 ? text.slice(1) : text
}
