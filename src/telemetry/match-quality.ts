/**
 * By what Pinterest can match an account's events with people: shares of the events of one name, over the last hours, as they are
 * prepared. The present state, not a history. Kept by streams.ts.
 */
import {
  addCount,
  COUNTED,
  isInvalidReason,
  isWarning,
  wordsOf,
  type Counted,
  type Counts,
  type EventTally,
} from './tally.ts'

export type MatchQuality = ReturnType<typeof qualityOf>

export const MOST_HOURS = 24
export const HOUR_MS = 3_600_000

export interface Hour {
  /** Since the epoch. */
  readonly hour: number
  events: number
  readonly counts: Counts
}

/** Adds to the present hour, and drops those that are too old, or too many: after one in the future, where the clock was set. */
export function countHour(hours: Hour[], hour: number, { events, counts }: EventTally): void {
  let latest = hours.at(-1)
  if (latest?.hour !== hour) hours.push((latest = { hour, events: 0, counts: {} }))
  while (hours[0]!.hour <= hour - MOST_HOURS || hours.length > MOST_HOURS) hours.shift()
  latest.events += events
  for (const [word, count] of wordsOf(counts)) addCount(latest.counts, word, count)
}

/** Of the hours after `oldest`. */
export function qualityOf(hours: readonly Hour[], oldest: number) {
  const sums: Counts = {}
  let events = 0
  for (const one of hours.filter(({ hour }) => hour > oldest)) {
    events += one.events
    for (const [word, count] of wordsOf(one.counts)) addCount(sums, word, count)
  }
  const sent = events - (sums.invalid ?? 0) - (sums.filtered ?? 0)
  const shares = Object.fromEntries(
    COUNTED.map((name) => {
      const whole = name === 'invalid' || name === 'filtered' ? events : sent
      return [name, whole === 0 ? 0 : (sums[name] ?? 0) / whole]
    }),
  ) as Record<Counted, number>
  const words = wordsOf(sums).toSorted(([, one], [, other]) => other - one)
  return {
    /** Invalid ones included. */
    events,
    /** Of 1. `filtered` and `invalid` are shares of all events, the others of those that were taken to be sent. */
    shares,
    /** How often each came, the most frequent first. */
    warnings: words.flatMap(([word, count]) => (isWarning(word) ? { code: word, count } : [])),
    invalidReasons: words.flatMap(([word, count]) => (isInvalidReason(word) ? { reason: word, count } : [])),
  }
}
