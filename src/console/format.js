/** Numbers and times as people read them. */

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const SMALL = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 })

/** @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? '–' : NUMBER.format(value)
}

/** Per second, say. @param {number} value */
export function rate(value) {
  return value === 0 || value >= 10 ? NUMBER.format(value) : SMALL.format(value)
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–'
  if (seconds === 0) return '0'
  if (seconds < 0.001) return '<1 ms'
  if (seconds < 1) return `${SMALL.format(seconds * 1000)} ms`
  return span(seconds)
}

/** @param {number | null | undefined} seconds */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return '–'
  if (seconds < 60) return `${SMALL.format(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 48 * 3600) {
    const minutes = Math.floor((seconds % 3600) / 60)
    return `${Math.floor(seconds / 3600)} h${minutes === 0 ? '' : ` ${minutes} min`}`
  }
  return `${Math.floor(seconds / 86_400)} days`
}

/** @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return '–'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10))
  return `${SMALL.format(bytes / 1024 ** step)} ${units[step]}`
}

/** @param {number} share of 1 */
export function percent(share) {
  if (share > 0 && share < 0.01) return '<1 %'
  return `${Math.round(100 * share)} %`
}

/** @type {Intl.DateTimeFormatOptions} */
const DAY = { day: '2-digit', month: 'short', year: 'numeric' }
/** @type {Intl.DateTimeFormatOptions} */
const HOUR = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
// The order of an English date, whatever the browser speaks: the page is in English.
const TIME = new Intl.DateTimeFormat('en-GB', { ...DAY, ...HOUR, second: '2-digit', timeZoneName: 'short' })
const CLOCKS = {
  seconds: new Intl.DateTimeFormat('en-GB', { ...HOUR, second: '2-digit' }),
  minutes: new Intl.DateTimeFormat('en-GB', HOUR),
  days: new Intl.DateTimeFormat('en-GB', { ...HOUR, weekday: 'short' }),
}

/** In 24 hours, with the browser's time zone. @param {string | number | null | undefined} at ISO 8601, or ms since the epoch */
export function time(at) {
  return at ? TIME.format(new Date(at)) : '–'
}

/** Of a plot's axis. @param {number} seconds since the epoch @param {number} step between two ticks, in seconds */
export function clock(seconds, step) {
  return CLOCKS[step < 60 ? 'seconds' : step < 6 * 3600 ? 'minutes' : 'days'].format(1000 * seconds)
}

/** How a status is coloured. @param {number} urgency as the relay has it: 2 and 3 need a person */
export function stateOf(urgency) {
  return urgency === 0 ? 'good' : urgency === 1 ? 'waits' : 'bad'
}
