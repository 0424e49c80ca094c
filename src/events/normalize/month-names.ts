/**
 * Dates with an English month name: `March 7, 1990`, `7th of March 1990`, `07-Mar-1990`, `1990 Mar 7`, and what
 * JavaScript's own `toDateString` writes (`Wed Mar 07 1990`).
 */
import type { CalendarDate } from './db.ts'

export function readNamedMonth(text: string): CalendarDate | undefined {
  const words = text
    .toLowerCase()
    .split(SEPARATORS)
    .filter((word) => word !== '' && word !== 'of' && word !== 'the')
  const parts = WEEKDAYS.has(words[0] ?? '') ? words.slice(1) : words
  if (parts.length !== 3) return undefined
  const [one = '', two = '', three = ''] = parts
  // Year first is followed by the month, as in ISO 8601; otherwise the year is last.
  if (YEAR.test(one)) return read(one, two, three)
  return MONTHS.has(one) ? read(three, one, two) : read(three, two, one)
}

const SEPARATORS = /[\s,./-]+/
const YEAR = /^\d{4}$/
const DAY = /^(\d{1,2})(?:st|nd|rd|th)?$/

const MONTHS = withShortForms(
  'january february march april may june july august september october november december',
).set('sept', 9)

const WEEKDAYS = withShortForms('monday tuesday wednesday thursday friday saturday sunday')

function withShortForms(names: string): Map<string, number> {
  return new Map(
    names
      .split(' ')
      .flatMap((name, index) => [[name, index + 1] as const, [name.slice(0, 3), index + 1] as const]),
  )
}

function read(yearText: string, monthName: string, dayText: string): CalendarDate | undefined {
  const month = MONTHS.get(monthName)
  const day = DAY.exec(dayText)?.[1]
  if (month === undefined || day === undefined || !YEAR.test(yearText)) return undefined
  return { year: Number(yearText), month, day: Number(day) }
}
