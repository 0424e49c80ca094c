/**
 * Events of different customers under one event id, within one post. Only the sender can mend it (a page cache that kept the id, an id
 * made of the product), and only the relay sees it: to Pinterest and to the dedupe index these are one event. Pure.
 */
import type { Prepared } from './prepare.ts'

/** The events with `event_id_shared` where it holds: on each that differs from the first one of its name and id. */
export function warnOfSharedIds(events: readonly Prepared[]): readonly Prepared[] {
  // The usual post, told without looking closer.
  if (new Set(events.map(idOf)).size === events.length) return events
  const firsts = new Map<string, Prepared>()
  let warned: Prepared[] | undefined
  for (const [index, event] of events.entries()) {
    if (event.status !== 'prepared') continue
    const key = `${event.eventName}\n${event.eventId}`
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, event)
    else if (areOfDifferentCustomers(first, event)) {
      warned ??= [...events]
      warned[index] = {
        ...event,
        warnings: [...event.warnings, { path: 'event_id', code: 'event_id_shared' }],
      }
    }
  }
  return warned ?? events
}

function idOf(event: Prepared, index: number): string | number {
  return event.status === 'prepared' ? event.eventId : index
}

/** Strongest first: what both have of it decides. Two addresses and browsers may be one customer's. */
const IDENTIFIERS = ['em', 'external_id', 'ph'] as const

function areOfDifferentCustomers(one: Prepared, other: Prepared): boolean {
  const [a, b] = [identifiersOf(one), identifiersOf(other)]
  for (const field of IDENTIFIERS) {
    const [mine, theirs] = [a[field], b[field]]
    if (mine !== undefined && theirs !== undefined) return !mine.some((hash) => theirs.includes(hash))
  }
  return false
}

type Hashes = Readonly<Partial<Record<(typeof IDENTIFIERS)[number], readonly string[]>>>

/** From the JSON, which is parsed for the few events alone that share an id. */
function identifiersOf(event: Prepared): Hashes {
  if (event.status !== 'prepared') return {}
  return (JSON.parse(event.json) as { user_data: Hashes }).user_data
}
