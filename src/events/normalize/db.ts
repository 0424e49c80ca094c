/**
 * Dates of birth as `YYYYMMDD`: the date as it is written, without any shift of time zone. A date that can be read in
 * two ways is dropped unless the account says how it writes dates; two-digit years always are.
 */
import { dropped, type Normalized, read, UNREADABLE } from '../reading.ts'
import type { Region } from './field.ts'

interface CalendarDate {
  readonly year: number
  readonly month: number
  readonly day: number
}

export function normalizeDateOfBirth(text: string, { dobFormat, nowMs }: Region): Normalized {
  if (text.length > MAX_LENGTH) return UNREADABLE
  const written = text.length <= LONGEST_DATE ? text : text.replace(BASIC_TIME, '$1').replace(TIME, '')
  const [first, second] = readings(written).filter((date) => isRealDate(date, nowMs))
  if (first === undefined) return UNREADABLE
  if (second === undefined || first.day === second.day) return read(render(first))
  if (dobFormat === undefined) return dropped('ambiguous_date')
  return read(render(dobFormat === 'DMY' ? first : second))
}

/** The longest that was seen: `Wednesday, March 07 1990 00:00:00 GMT+0100 (Central European Standard Time)`. */
const MAX_LENGTH = 100
/** Of digits, without a time behind it. */
const LONGEST_DATE = 10
const BASIC_TIME = /^(\d{8})T\d{4}.*$/i
const TIME = /(?:T|\s|,\s?)\d{1,2}:\d{2}(?:[:.,\s].*|Z|[+-].*|[ap]m)?$/i
type Parts = readonly number[]
const YMD = ([year = 0, month = 0, day = 0]: Parts): CalendarDate => ({ year, month, day })
const DMY = ([day = 0, month = 0, year = 0]: Parts): CalendarDate => ({ year, month, day })
const MDY = ([month = 0, day = 0, year = 0]: Parts): CalendarDate => ({ year, month, day })
/** What can be read in two ways is read as day-month first. */
const SHAPES = [
  [/^(\d{4})(\d{2})(\d{2})$/, [YMD]],
  [/^(\d{4})(?:-(\d{1,2})-|\/(\d{1,2})\/|\.\s?(\d{1,2})\.\s?)(\d{1,2})\.?$/, [YMD]],
  [/^(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})\.?$/, [DMY]],
  [/^(\d{1,2})(?:-(\d{1,2})-|\/(\d{1,2})\/)(\d{4})$/, [DMY, MDY]],
] as const

/** Every way to read the date. */
function readings(text: string): readonly CalendarDate[] {
  for (const [shape, orders] of SHAPES) {
    const parts = shape.exec(text)?.slice(1).filter(Boolean).map(Number)
    if (parts !== undefined) return orders.map((order) => order(parts))
  }
  return readNamedMonth(text)
}

const SEPARATORS = /[\s,./-]+/
const IS_LEFT_OUT = /^(?:of|the|)$/
const WEEKDAY = /^(?:mon|tue|wed|thu|fri|sat|sun)(?:[a-z]*day)?$/
const YEAR = /^\d{4}$/
const DAY = /^(\d{1,2})(?:st|nd|rd|th)?$/
/** Also in their first three letters, or four (`Sept`). */
const MONTHS: ReadonlyMap<string, number> = new Map(
  'january february march april may june july august september october november december'
    .split(' ')
    .flatMap((name, index) => [name, name.slice(0, 3), name.slice(0, 4)].map((word) => [word, index + 1])),
)

/** `March 7, 1990`, `7th of March 1990`, `07-Mar-1990`, `1990 Mar 7`, and JavaScript's own `Wed Mar 07 1990`. */
function readNamedMonth(text: string): readonly CalendarDate[] {
  const words = text
    .toLowerCase()
    .split(SEPARATORS)
    .filter((word) => !IS_LEFT_OUT.test(word))
  const [one = '', two = '', three = '', ...more] = WEEKDAY.test(words[0] ?? '') ? words.slice(1) : words
  // Year first is followed by the month, as in ISO 8601; otherwise the year is last.
  const [year, name, date] = YEAR.test(one)
    ? [one, two, three]
    : MONTHS.has(one)
      ? [three, one, two]
      : [three, two, one]
  const month = MONTHS.get(name)
  const day = DAY.exec(date)?.[1]
  if (month === undefined || day === undefined || !YEAR.test(year) || more.length > 0) return []
  return [{ year: Number(year), month, day: Number(day) }]
}

function isRealDate({ year, month, day }: CalendarDate, nowMs: number): boolean {
  if (year < 1900) return false
  const date = new Date(Date.UTC(year, month - 1, day))
  // Date.UTC turns 31 February into 3 March.
  const isInCalendar = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return isInCalendar && date.getTime() <= nowMs
}

function render({ year, month, day }: CalendarDate): string {
  return `${year}${String(month).padStart(2, '0')}${String(day).padStart(2, '0')}`
}
