/**
 * The counts of a post's events, one entry per event name: few numbers are passed to the thread that counts. And the match quality
 * that counts of some hours show: the present state, not a history.
 */
import { looksPersonal } from '../events/personal-ids.ts'
import type { ValidEvent, WithheldEvent } from '../events/prepare.ts'
import { type InvalidReason, WARNINGS, type WarningCode } from '../events/reasons.ts'
import { IDENTIFIERS } from '../events/schema.ts'

/** All but `filtered` and `invalid` count events to be sent. */
export const COUNTED = [...IDENTIFIERS, 'late', 'warned', 'filtered', 'invalid'] as const
export type Counted = (typeof COUNTED)[number]

/** By what is counted, code of a warning, or reason why an event is invalid: no two of these words are alike. */
export type Counts = { [Word in Counted | WarningCode | InvalidReason]?: number }

export interface EventTally {
  /** Undefined for events without a name that may be repeated. */
  readonly eventName: string | undefined
  /** Invalid ones included. */
  events: number
  readonly counts: Counts
}

/** A high share of these is good, of the others bad. */
export function isIdentifier(name: Counted): boolean {
  return IDENTIFIERS.some((one) => one === name)
}

export function tallyEvents(prepared: readonly (ValidEvent | WithheldEvent)[]): EventTally[] {
  const tallies = new Map<string | undefined, EventTally>()
  for (const event of prepared) {
    const { status, warnings } = event
    const eventName = looksPersonal(event.eventName ?? '') ? undefined : event.eventName
    let tally = tallies.get(eventName)
    if (tally === undefined) tallies.set(eventName, (tally = { eventName, events: 0, counts: {} }))
    tally.events += 1
    const { counts } = tally
    const count = (word: keyof Counts) => void (counts[word] = (counts[word] ?? 0) + 1)
    for (const { code } of warnings) count(code)
    if (status !== 'prepared') count(status)
    if (status === 'invalid') count(event.reason)
    if (status !== 'prepared') continue
    for (const name of event.identifiers) count(name)
    if (warnings.length > 0) count('warned')
    if (warnings.some(({ code }) => code === 'late_event')) count('late')
  }
  return [...tallies.values()]
}

export type MatchQuality = ReturnType<typeof qualityOf>

export const MOST_HOURS = 24

/**
 * By what Pinterest can match an account's events with people: shares of the events of one name, over the last hours. `hours`:
 * what was counted in each. `events`: in all of them.
 */
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

export function addCounts(sums: Counts, counts: Readonly<Counts>): void {
  for (const [word, count] of wordsOf(counts)) sums[word] = (sums[word] ?? 0) + count
}

export function wordsOf(counts: Readonly<Counts>): (readonly [word: keyof Counts, count: number])[] {
  return Object.entries(counts) as [keyof Counts, number][]
}

export function isWarning(word: keyof Counts): word is WarningCode {
  return Object.hasOwn(WARNINGS, word)
}

export function isInvalidReason(word: keyof Counts): word is InvalidReason {
  return !isWarning(word) && !(COUNTED as readonly string[]).includes(word)
}
