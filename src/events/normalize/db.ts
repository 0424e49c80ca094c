/**
 * Dates of birth as `YYYYMMDD`: the date as it is written, without any shift of time zone. A date that can be read in
 * two ways is dropped unless the account says how it writes dates; two-digit years always are.
 */
import { readNamedMonth } from './month-names.ts'
import { dropped, type Region, type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'

export interface CalendarDate {
  readonly year: number
  readonly month: number
  readonly day: number
}

export function normalizeDateOfBirth(text: string, region: Region): Normalized {
  if (text.length > MAX_LENGTH) return UNREADABLE
  const written = text.length <= LONGEST_DATE ? text : text.replace(BASIC_TIME, '$1').replace(TIME, '')
  const [first, second] = readings(written).filter((date) => isRealDate(date, region.nowMs))
  if (first === undefined) return UNREADABLE
  if (second === undefined || first.day === second.day) return normalizedAs(render(first))
  if (region.dobFormat === undefined) return dropped('ambiguous_date')
  return normalizedAs(render(region.dobFormat === 'DMY' ? first : second))
}

/** The longest that was seen: `Wednesday, March 07 1990 00:00:00 GMT+0100 (Central European Standard Time)`. */
const MAX_LENGTH = 100
/** Of digits, without a time behind it. */
const LONGEST_DATE = 10
const BASIC_TIME = /^(\d{8})T\d{4}.*$/i
const TIME = /(?:T|\s|,\s?)\d{1,2}:\d{2}(?:[:.,\s].*|Z|[+-].*|[ap]m)?$/i
const EIGHT_DIGITS = /^(\d{4})(\d{2})(\d{2})$/
const YEAR_FIRST = /^(\d{4})(?:-(\d{1,2})-|\/(\d{1,2})\/|\.\s?(\d{1,2})\.\s?)(\d{1,2})\.?$/
const DAY_FIRST = /^(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})\.?$/
const EITHER_FIRST = /^(\d{1,2})(?:-(\d{1,2})-|\/(\d{1,2})\/)(\d{4})$/

/** Every way to read the date; where there are two, day-month comes before month-day. */
function readings(text: string): readonly CalendarDate[] {
  const yearFirst = EIGHT_DIGITS.exec(text) ?? YEAR_FIRST.exec(text)
  if (yearFirst !== null) {
    const [year, month, day] = numbersOf(yearFirst)
    return [{ year, month, day }]
  }
  const dayFirst = DAY_FIRST.exec(text)
  if (dayFirst !== null) {
    const [day, month, year] = numbersOf(dayFirst)
    return [{ year, month, day }]
  }
  const eitherFirst = EITHER_FIRST.exec(text)
  if (eitherFirst !== null) {
    const [one, two, year] = numbersOf(eitherFirst)
    return [
      { year, month: two, day: one },
      { year, month: one, day: two },
    ]
  }
  const named = readNamedMonth(text)
  return named === undefined ? [] : [named]
}

/** The three groups that matched, in the order of the text. */
function numbersOf(match: RegExpExecArray): readonly [number, number, number] {
  const groups = match.slice(1).filter((group: string | undefined) => group !== undefined)
  const [one = NaN, two = NaN, three = NaN] = groups.map(Number)
  return [one, two, three]
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
