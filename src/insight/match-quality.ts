/**
 * By what Pinterest can match an account's events with people: shares of live events per event name, over the last hours, as
 * they are prepared. In memory and since the start of the process: it says what a storefront sends now, and is no record.
 *
 * Event names may be a storefront's own: only so many of an account are told apart.
 */
import type { Prepared } from '../event/prepare.ts'

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
  'refused',
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
  readonly warnings: readonly (readonly [code: string, count: number])[]
  readonly refusals: readonly (readonly [reason: string, count: number])[]
}

export const MOST_HOURS = 24
const HOUR_MS = 3_600_000
const MOST_EVENT_NAMES = 50
/** What is beyond them, and what came without a name that can be read. */
export const OTHER = '(other)'

interface Hour {
  readonly hour: number
  events: number
  readonly counts: Record<Counted, number>
  readonly warnings: Map<string, number>
  readonly refusals: Map<string, number>
}

export function createMatchQuality(wallMs: () => number): MatchQuality {
  const accounts = new Map<string, Map<string, Hour[]>>()

  function hourOf(adAccountId: string, eventName: string): Hour {
    let names = accounts.get(adAccountId)
    if (names === undefined) accounts.set(adAccountId, (names = new Map()))
    const name = names.has(eventName) || names.size < MOST_EVENT_NAMES ? eventName : OTHER
    let hours = names.get(name)
    if (hours === undefined) names.set(name, (hours = []))
    const hour = Math.floor(wallMs() / HOUR_MS)
    const last = hours.at(-1)
    if (last?.hour === hour) return last
    const next: Hour = { hour, events: 0, counts: zeros(), warnings: new Map(), refusals: new Map() }
    hours.push(next)
    if (hours.length > MOST_HOURS) hours.shift()
    return next
  }

  return {
    note(adAccountId, prepared) {
      const hour = hourOf(adAccountId, prepared.eventName || OTHER)
      const { counts, warnings, refusals } = hour
      hour.events += 1
      for (const { code } of prepared.warnings) add(warnings, code)
      if (prepared.status === 'refused') {
        counts.refused += 1
        add(refusals, prepared.reason)
        return
      }
      const { identifiers } = prepared
      if (identifiers.em) counts.em += 1
      if (identifiers.ph) counts.ph += 1
      if (identifiers.external_id) counts.external_id += 1
      if (identifiers.click_id) counts.click_id += 1
      if (identifiers.ip_and_user_agent) counts.ip_and_user_agent += 1
      if (prepared.warnings.length > 0) counts.warned += 1
      if (prepared.warnings.some(({ code }) => code === 'late_event')) counts.late += 1
    },

    rows({ adAccountId, hours }) {
      const oldest = Math.floor(wallMs() / HOUR_MS) - hours
      const rows: MatchQualityRow[] = []
      for (const [id, names] of accounts) {
        if (adAccountId !== undefined && id !== adAccountId) continue
        for (const [eventName, all] of names) {
          const recent = all.filter(({ hour }) => hour > oldest)
          if (recent.length > 0) rows.push({ adAccountId: id, eventName, ...sumUp(recent) })
        }
      }
      return rows.toSorted((one, other) => other.events - one.events)
    },

    forget: (adAccountId) => void accounts.delete(adAccountId),
  }
}

function sumUp(hours: readonly Hour[]): Omit<MatchQualityRow, 'adAccountId' | 'eventName'> {
  const counts = zeros()
  const warnings = new Map<string, number>()
  const refusals = new Map<string, number>()
  let events = 0
  for (const hour of hours) {
    events += hour.events
    for (const name of COUNTED) counts[name] += hour.counts[name]
    for (const [code, count] of hour.warnings) add(warnings, code, count)
    for (const [reason, count] of hour.refusals) add(refusals, reason, count)
  }
  const taken = events - counts.refused
  const shares = zeros()
  for (const name of COUNTED) {
    const whole = name === 'refused' ? events : taken
    shares[name] = whole === 0 ? 0 : counts[name] / whole
  }
  return { events, shares, warnings: mostFrequent(warnings), refusals: mostFrequent(refusals) }
}

function add(counts: Map<string, number>, word: string, count = 1): void {
  counts.set(word, (counts.get(word) ?? 0) + count)
}

function mostFrequent(counts: ReadonlyMap<string, number>): (readonly [string, number])[] {
  return [...counts].toSorted(([, one], [, other]) => other - one)
}

function zeros(): Record<Counted, number> {
  return {
    em: 0,
    ph: 0,
    external_id: 0,
    click_id: 0,
    ip_and_user_agent: 0,
    late: 0,
    warned: 0,
    refused: 0,
  }
}
