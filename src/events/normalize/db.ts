/**
 * Dates of birth as `YYYYMMDD`: the date as it is written, without any shift of time zone. A date that can be read in
 * two ways is dropped unless the account says how it writes dates; two-digit years always are.
 */
import { dropped, type Normalized, read, UNREADABLE } from '../reading.ts'
import type { Region } from './field.ts'

/** As it is written, of digits alone; the month as its number. */
interface CalendarDate {
  readonly year: string
  readonly month: string
  readonly day: string
}

export function normalizeDateOfBirth(text: string, { dobFormat, nowMs }: Region): Normalized {
  if (text.length > MAX_LENGTH) return UNREADABLE
  const plain = PLAIN_DATE.test(text) ? text : withPlainSeparators(text)
  const written = plain.length <= LONGEST_DATE ? plain : plain.replace(BASIC_TIME, '$1').replace(TIME, '')
  const date = readYearFirst(written) ?? readDayFirst(written) ?? readNamedMonth(written)
  if (date !== undefined) return isRealDate(date, nowMs) ? read(render(date)) : UNREADABLE
  const [, one = '', other = '', year = ''] = EITHER_FIRST.exec(written) ?? []
  const either = [
    { year, month: other, day: one },
    { year, month: one, day: other },
  ]
  const [first, second] = either.filter((date) => isRealDate(date, nowMs))
  if (first === undefined) return UNREADABLE
  if (second === undefined || +one === +other) return read(render(first))
  if (dobFormat === undefined) return dropped('ambiguous_date')
  return read(render(dobFormat === 'DMY' ? first : second))
}

/** The longest that was seen: `Wednesday, March 07 1990 00:00:00 GMT+0100 (Central European Standard Time)`. */
const MAX_LENGTH = 100
/** Of digits, without a time behind it. */
const LONGEST_DATE = 10
/** The common case. */
const PLAIN_DATE = /^[\d./-]+$/
const BASIC_TIME = /^(\d{8})T\d{4}.*$/i
const TIME = /(?:T|\s|,\s?)\d{1,2}:\d{2}(?:[:.,\s].*|Z|[+-].*|[ap]m)?$/i
const YEAR_FIRST =
  /^(\d{4})(?:(?=-\d+-\d|\/\d+\/\d|\.\s?\d+\.)[-/.]\s?(\d{1,2})[-/.]\s?(\d{1,2})\.?|(\d\d)(\d\d))$/
const DAY_FIRST = /^(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})\.?$/
const EITHER_FIRST = /^(\d{1,2})(?=-\d+-|\/\d+\/)[-/](\d{1,2})[-/](\d{4})$/

/**
 * `13 / 03 / 1990`, as masks of forms show it, other dashes, full width, and `1990年3月7日` in Japan, China and Korea. Not the digits of
 * other scripts: those are often of another calendar.
 */
function withPlainSeparators(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\p{Pd}\u2212]/gu, '-')
    .replace(/ ([/-]) /g, '$1')
    .replace(/^(\d{4})[年년] ?(\d{1,2})[月월] ?(\d{1,2})[日일]/, '$1-$2-$3')
}

function readYearFirst(text: string): CalendarDate | undefined {
  const parts = YEAR_FIRST.exec(text)
  if (parts === null) return undefined
  return { year: parts[1]!, month: (parts[2] ?? parts[4])!, day: (parts[3] ?? parts[5])! }
}

function readDayFirst(text: string): CalendarDate | undefined {
  const parts = DAY_FIRST.exec(text)
  return parts === null ? undefined : { year: parts[3]!, month: parts[2]!, day: parts[1]! }
}

const SEPARATORS = /[\s,./-]+/
const IS_LEFT_OUT = /^(?:of|the|)$/
const WEEKDAY = /^(?:mon|tue|wed|thu|fri|sat|sun)(?:[a-z]*day)?$/
const YEAR = /^\d{4}$/
const DAY = /^(\d{1,2})(?:st|nd|rd|th)?$/
/** Also in their first three letters, or four (`Sept`). */
const MONTHS: ReadonlyMap<string, string> = new Map(
  'january february march april may june july august september october november december'
    .split(' ')
    .flatMap((name, index) =>
      [name, name.slice(0, 3), name.slice(0, 4)].map((word) => [word, String(index + 1)]),
    ),
)

/** `March 7, 1990`, `7th of March 1990`, `07-Mar-1990`, `1990 Mar 7`, and JavaScript's own `Wed Mar 07 1990`. */
function readNamedMonth(text: string): CalendarDate | undefined {
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
  if (month === undefined || day === undefined || !YEAR.test(year) || more.length > 0) return undefined
  return { year, month, day }
}

function isRealDate(date: CalendarDate, nowMs: number): boolean {
  const year = +date.year
  const month = +date.month
  const day = +date.day
  if (year < 1900 || month < 1 || month > 12 || day < 1 || day > 31) return false
  const timeMs = Date.UTC(year, month - 1, day)
  // Date.UTC turns 31 February into 3 March.
  return timeMs <= nowMs && (day <= 28 || new Date(timeMs).getUTCDate() === day)
}

function render({ year, month, day }: CalendarDate): string {
  return year + month.padStart(2, '0') + day.padStart(2, '0')
}
