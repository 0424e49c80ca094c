/**
 * By what Pinterest can match an account's events with people: shares of live events per event name, over the last hours, as
 * they are prepared. In memory and since the start of the process: it says what a storefront sends now, and is no record.
 * Each stream takes two KiB; those that were silent for a day make room for others (streams.ts).
 */
import type { WarningCode } from '../events/warning.ts'
import { createStreams } from './streams.ts'
import { COUNTED, type Counted, type EventTally } from './tally.ts'

export interface MatchQuality {
  note(adAccountId: string, events: EventTally): void
  /** Those with the most events first. `hours`: the present one, and so many before as make it up. */
  rows(query: {
    readonly adAccountId?: string | undefined
    readonly hours: number
  }): readonly MatchQualityRow[]
  forget(adAccountId: string): void
}

export interface MatchQualityRow {
  readonly adAccountId: string
  readonly eventName: string
  /** Invalid ones included. */
  readonly events: number
  /** Of 1. `filtered` and `invalid` are shares of all events, the others of those that were taken to be sent. */
  readonly shares: Readonly<Record<Counted, number>>
  /** How often each came, the most frequent first. */
  readonly warnings: readonly (readonly [code: WarningCode, count: number])[]
  readonly invalidReasons: readonly (readonly [reason: string, count: number])[]
}

export const MOST_HOURS = 24
const HOUR_MS = 3_600_000

/** A row of counters: one for each hour of the last day, at `hour % MOST_HOURS`. */
type Row = Uint32Array

interface Stream {
  /** Which hour each place holds. */
  readonly hours: Float64Array
  readonly events: Row
  readonly counts: Readonly<Record<Counted, Row>>
  /** By code and by reason: few of the many that there are. */
  readonly warnings: Map<WarningCode, Row>
  readonly invalidReasons: Map<string, Row>
  lastHour: number
}

export function createMatchQuality(wallMs: () => number): MatchQuality {
  const hourNow = () => Math.floor(wallMs() / HOUR_MS)
  const streams = createStreams<Stream>({
    create: () => ({
      hours: new Float64Array(MOST_HOURS),
      events: makeRow(),
      counts: rowsOfCounted(),
      warnings: new Map(),
      invalidReasons: new Map(),
      lastHour: 0,
    }),
    isIdle: ({ lastHour }) => lastHour <= hourNow() - MOST_HOURS,
  })

  /** The place of this hour, emptied of what was there a day ago. */
  function placeOf(stream: Stream): number {
    const hour = hourNow()
    const place = hour % MOST_HOURS
    if (stream.hours[place] === hour) return place
    stream.hours[place] = hour
    stream.lastHour = hour
    for (const row of allRows(stream)) row[place] = 0
    dropUnused(stream.warnings)
    dropUnused(stream.invalidReasons)
    return place
  }

  return {
    note(adAccountId, { eventName, events, counts, warnings, invalidReasons }) {
      const stream = streams.of(adAccountId, eventName)
      if (stream === undefined) return
      const place = placeOf(stream)
      stream.events[place]! += events
      for (const [index, name] of COUNTED.entries()) stream.counts[name][place]! += counts[index]!
      for (const [code, n] of warnings) countWord(stream.warnings, code, place, n)
      for (const [reason, n] of invalidReasons) countWord(stream.invalidReasons, reason, place, n)
    },

    rows({ adAccountId, hours }) {
      const oldest = hourNow() - hours
      return streams
        .list(adAccountId)
        .filter(([, , { lastHour }]) => lastHour > oldest)
        .map(([id, eventName, stream]) => ({ adAccountId: id, eventName, ...sumUp(stream, oldest) }))
        .toSorted((one, other) => other.events - one.events)
    },

    forget: (adAccountId) => streams.forget(adAccountId),
  }
}

function sumUp(stream: Stream, oldestHour: number): Omit<MatchQualityRow, 'adAccountId' | 'eventName'> {
  const places = Array.from(stream.hours.keys()).filter((place) => stream.hours[place]! > oldestHour)
  const sum = (row: Row) => places.reduce((total, place) => total + row[place]!, 0)
  const events = sum(stream.events)
  const sent = events - sum(stream.counts.invalid) - sum(stream.counts.filtered)
  const shares = Object.fromEntries(
    COUNTED.map((name) => {
      const whole = name === 'invalid' || name === 'filtered' ? events : sent
      return [name, whole === 0 ? 0 : sum(stream.counts[name]) / whole]
    }),
  ) as Record<Counted, number>
  const words = <Word>(rows: ReadonlyMap<Word, Row>) =>
    [...rows]
      .map(([word, row]) => [word, sum(row)] as const)
      .filter(([, count]) => count > 0)
      .toSorted(([, one], [, other]) => other - one)
  return { events, shares, warnings: words(stream.warnings), invalidReasons: words(stream.invalidReasons) }
}

function countWord<Word>(words: Map<Word, Row>, word: Word, place: number, count: number): void {
  let row = words.get(word)
  if (row === undefined) words.set(word, (row = makeRow()))
  row[place]! += count
}

function dropUnused<Word>(words: Map<Word, Row>): void {
  for (const [word, row] of words) if (row.every((count) => count === 0)) words.delete(word)
}

function allRows({ events, counts, warnings, invalidReasons }: Stream): Row[] {
  return [events, ...Object.values(counts), ...warnings.values(), ...invalidReasons.values()]
}

function makeRow(): Row {
  return new Uint32Array(MOST_HOURS)
}

function rowsOfCounted(): Record<Counted, Row> {
  return Object.fromEntries(COUNTED.map((name) => [name, makeRow()])) as Record<Counted, Row>
}
