/**
 * A moment, in whole seconds since the epoch. Takes seconds and milliseconds, as numbers or text, and ISO 8601 with a
 * time zone. A date without time or zone is not guessed at: it could be half a day off, on the wrong side of an hour
 * that decides whether Pinterest can deduplicate.
 */
import { invalid, read, type Reading } from '../reading.ts'
import { toNumber } from './scalars.ts'

/** As seconds the year 5138, as milliseconds 1973: below it a number is seconds, from it on milliseconds. */
const FIRST_MILLISECONDS = 1e11

const UNREADABLE = invalid(
  'unreadable_time',
  'must be seconds since the epoch, or else milliseconds or ISO 8601 with a time zone',
)

const ISO_8601 =
  /^(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d{1,9})?)? ?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)$/

/** Carries `event_time_converted` when it was anything but whole seconds. */
export function time(value: unknown): Reading<number> {
  const number = toNumber(value)
  if (number !== undefined) return fromNumber(number)
  const seconds = typeof value === 'string' && value.length <= 64 ? parseIso8601(value.trim()) : undefined
  return seconds === undefined ? UNREADABLE : converted(seconds)
}

function fromNumber(number: number): Reading<number> {
  const seconds = Math.floor(number < FIRST_MILLISECONDS ? number : number / 1000)
  return seconds === number && isMoment(seconds) ? read(seconds) : converted(seconds)
}

/** `Date.parse` would take February 30 for March 1, and much that is not ISO 8601. */
function parseIso8601(text: string): number | undefined {
  const match = ISO_8601.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => +(part ?? 0))
  const offsetHours = +(match[8] ?? 0)
  const offsetMinutes = +(match[9] ?? 0)
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) return undefined
  const date = new Date(Date.UTC(year, month - 1, day))
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day)
    return undefined
  const offset = (offsetHours * 60 + offsetMinutes) * (match[7] === '-' ? -60 : 60)
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset
}

function converted(seconds: number): Reading<number> {
  if (!isMoment(seconds)) return UNREADABLE
  return { status: 'read', value: seconds, warning: 'event_time_converted' }
}

/** Seconds that read as seconds when they come back; what came in microseconds does not. */
function isMoment(seconds: number): boolean {
  return seconds >= 0 && seconds < FIRST_MILLISECONDS
}
