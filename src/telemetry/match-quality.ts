/**
 * By what Pinterest can match an account's events with people: shares of live events per event name, over the last hours, as
 * they are prepared. In memory and since the start of the process: it says what a storefront sends now, and is no record.
 *
 * Event names may be a storefront's own: only so many of an account are told apart. And only so many streams (an account and
 * a name) are counted at all, 10 MiB of them; those that were silent for a day make room for others.
 */
import type { Prepared } from '../events/prepare.ts'
import type { WarningCode } from '../events/warning.ts'

export interface MatchQuality {
  note(adAccountId: string, prepared: Prepared): void
  /** Those with the most events first. `hours`: the present one, and so many before as make it up. */
  rows(query: {
    readonly adAccountId?: string | undefined
    readonly hours: number
  }): readonly MatchQualityRow[]
  forget(adAccountId: string): void
}

export const COUNTED = [
  'em',
  'ph',
  'external_id',
  'click_id',
  'ip_and_user_agent',
  'late',
  'warned',
  'invalid',
] as const
export type Counted = (typeof COUNTED)[number]

export interface MatchQualityRow {
  readonly adAccountId: string
  readonly eventName: string
  /** Refused ones included. */
  readonly events: number
  /** Of 1. `refused` is a share of all events, the others of those that were taken. */
  readonly shares: Readonly<Record<Counted, number>>
  /** How often each came, the most frequent first. */
  readonly warnings: readonly (readonly [code: WarningCode, count: number])[]
  readonly invalidReasons: readonly (readonly [reason: string, count: number])[]
}

export const MOST_HOURS = 24
const HOUR_MS = 3_600_000
const MOST_EVENT_NAMES = 50
/** Of all accounts: two KiB each. */
const MOST_STREAMS = 5000
/** What is beyond them, and what came without a name that can be read. */
export const OTHER = '(other)'

/** A row of counters: one for each hour of the last day, at `hour % MOST_HOURS`. */
type Row = Uint32Array

interface Stream {
  readonly eventName: string
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
  const accounts = new Map<string, Map<string, Stream>>()
  let streamCount = 0

  function streamOf(adAccountId: string, eventName: string): Stream | undefined {
    const own = accounts.get(adAccountId)
    const isNamed = own === undefined || own.has(eventName) || own.size < MOST_EVENT_NAMES
    const name = isNamed ? eventName : OTHER
    const known = own?.get(name)
    if (known !== undefined) return known
    if (streamCount >= MOST_STREAMS) dropIdle()
    if (streamCount >= MOST_STREAMS) return undefined
    streamCount += 1
    // Perhaps not what it was: its last stream may just have made room.
    let names = accounts.get(adAccountId)
    if (names === undefined) accounts.set(adAccountId, (names = new Map()))
    const stream: Stream = {
      eventName: name,
      hours: new Float64Array(MOST_HOURS),
      events: makeRow(),
      counts: rowsOfCounted(),
      warnings: new Map(),
      invalidReasons: new Map(),
      lastHour: 0,
    }
    names.set(name, stream)
    return stream
  }

  /** Makes room where somebody else's streams have been silent for a day. */
  function dropIdle(): void {
    const oldest = hourNow() - MOST_HOURS
    for (const [adAccountId, names] of accounts) {
      for (const [name, { lastHour }] of names) {
        if (lastHour > oldest) continue
        names.delete(name)
        streamCount -= 1
      }
      if (names.size === 0) accounts.delete(adAccountId)
    }
  }

  const hourNow = () => Math.floor(wallMs() / HOUR_MS)

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
    note(adAccountId, prepared) {
      const stream = streamOf(adAccountId, prepared.eventName || OTHER)
      if (stream === undefined) return
      const place = placeOf(stream)
      const { counts, warnings, invalidReasons } = stream
      const count = (name: Counted) => void (counts[name][place]! += 1)
      stream.events[place]! += 1
      for (const { code } of prepared.warnings) countWord(warnings, code, place)
      if (prepared.status === 'invalid') {
        count('invalid')
        countWord(invalidReasons, prepared.reason, place)
        return
      }
      const { identifiers } = prepared
      if (identifiers.em) count('em')
      if (identifiers.ph) count('ph')
      if (identifiers.external_id) count('external_id')
      if (identifiers.click_id) count('click_id')
      if (identifiers.ip_and_user_agent) count('ip_and_user_agent')
      if (prepared.warnings.length > 0) count('warned')
      if (prepared.warnings.some(({ code }) => code === 'late_event')) count('late')
    },

    rows({ adAccountId, hours }) {
      const oldest = hourNow() - hours
      const rows: MatchQualityRow[] = []
      for (const [id, names] of accounts) {
        if (adAccountId !== undefined && id !== adAccountId) continue
        for (const stream of names.values()) {
          if (stream.lastHour > oldest) {
            rows.push({ adAccountId: id, eventName: stream.eventName, ...sumUp(stream, oldest) })
          }
        }
      }
      return rows.toSorted((one, other) => other.events - one.events)
    },

    forget(adAccountId) {
      streamCount -= accounts.get(adAccountId)?.size ?? 0
      accounts.delete(adAccountId)
    },
  }
}

function sumUp(stream: Stream, oldestHour: number): Omit<MatchQualityRow, 'adAccountId' | 'eventName'> {
  const places = Array.from(stream.hours.keys()).filter((place) => stream.hours[place]! > oldestHour)
  const sum = (row: Row) => places.reduce((total, place) => total + row[place]!, 0)
  const events = sum(stream.events)
  const invalid = sum(stream.counts.invalid)
  const shares = Object.fromEntries(
    COUNTED.map((name) => {
      const whole = name === 'invalid' ? events : events - invalid
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

function countWord<Word>(words: Map<Word, Row>, word: Word, place: number): void {
  let row = words.get(word)
  if (row === undefined) words.set(word, (row = makeRow()))
  row[place]! += 1
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
