/**
 * By what Pinterest can match an account's events with people: shares of live events per event name, over the last hours, as
 * they are prepared. In memory, since the start of the process: the present state, not a history.
 * Each stream takes about 150 bytes for each hour with events; those that were silent for a day make room for others
 * (streams.ts).
 */
import type { InvalidReason, WarningCode } from '../events/reasons.ts'
import { createStreams } from './streams.ts'
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

export type MatchQuality = ReturnType<typeof createMatchQuality>

export interface MatchQualityRow {
  readonly adAccountId: string
  readonly eventName: string
  /** Invalid ones included. */
  readonly events: number
  /** Of 1. `filtered` and `invalid` are shares of all events, the others of those that were taken to be sent. */
  readonly shares: Readonly<Record<Counted, number>>
  /** How often each came, the most frequent first. */
  readonly warnings: readonly { readonly code: WarningCode; readonly count: number }[]
  readonly invalidReasons: readonly { readonly reason: InvalidReason; readonly count: number }[]
}

export const MOST_HOURS = 24
const HOUR_MS = 3_600_000

interface Hour {
  /** Since the epoch. */
  readonly hour: number
  events: number
  readonly counts: Counts
}

export function createMatchQuality(wallMs: () => number) {
  const hourNow = () => Math.floor(wallMs() / HOUR_MS)
  let searchedHour = hourNow()
  /** Of each the hours with events, oldest first. */
  const streams = createStreams<Hour[]>(
    () => [],
    (hours) => (hours.at(-1)?.hour ?? 0) <= hourNow() - MOST_HOURS,
  )

  function latestOf(hours: Hour[], hour: number): Hour {
    let latest = hours.at(-1)
    if (latest?.hour !== hour) hours.push((latest = { hour, events: 0, counts: {} }))
    while (hours[0]!.hour <= hour - MOST_HOURS) hours.shift()
    return latest
  }

  return {
    note(adAccountId: string, { eventName, events, counts }: EventTally): void {
      const hour = hourNow()
      if (hour !== searchedHour) streams.dropIdle()
      searchedHour = hour
      const hours = streams.of(adAccountId, eventName)
      if (hours === undefined) return
      const latest = latestOf(hours, hour)
      latest.events += events
      for (const [word, count] of wordsOf(counts)) addCount(latest.counts, word, count)
    },

    /** Those with the most events first, of the present hour and those before it. */
    rows(mostHours: number, adAccountId?: string): readonly MatchQualityRow[] {
      const oldest = hourNow() - mostHours
      return streams
        .list(adAccountId)
        .map(([id, eventName, hours]) => {
          const summed = sumUp(hours.filter(({ hour }) => hour > oldest))
          return { adAccountId: id, eventName, ...summed }
        })
        .filter(({ events }) => events > 0)
        .toSorted((one, other) => other.events - one.events)
    },

    forget: (adAccountId: string) => streams.forget(adAccountId),
  }
}

function sumUp(hours: readonly Hour[]): Omit<MatchQualityRow, 'adAccountId' | 'eventName'> {
  const sums: Counts = {}
  let events = 0
  for (const hour of hours) {
    events += hour.events
    for (const [word, count] of wordsOf(hour.counts)) addCount(sums, word, count)
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
    events,
    shares,
    warnings: words.flatMap(([word, count]) => (isWarning(word) ? { code: word, count } : [])),
    invalidReasons: words.flatMap(([word, count]) => (isInvalidReason(word) ? { reason: word, count } : [])),
  }
}
