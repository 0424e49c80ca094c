/**
 * By what Pinterest can match an account's events with people: shares of the events of one name, over the last hours, as they are
 * prepared. The present state, not a history. Kept by streams.ts.
 */
import {
  addCounts,
  COUNTED,
  isInvalidReason,
  isWarning,
  wordsOf,
  type Counted,
  type Counts,
} from './tally.ts'

export type MatchQuality = ReturnType<typeof qualityOf>

export const MOST_HOURS = 24

/** `hours`: what was counted in each. `events`: in all of them. */
export function qualityOf(hours: readonly Counts[], events: number) {
  const sums: Counts = {}
  for (const counts of hours) addCounts(sums, counts)
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
