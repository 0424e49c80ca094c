/** What there is to count of a post's events, one entry for each event name: few numbers cross to the thread that counts. */
import type { Prepared } from '../events/prepare.ts'
import type { InvalidReason } from '../events/invalid.ts'
import type { WarningCode } from '../events/warning.ts'

export const COUNTED = [
  'em',
  'ph',
  'external_id',
  'click_id',
  'ip_and_user_agent',
  'late',
  'warned',
  'filtered',
  'invalid',
] as const
export type Counted = (typeof COUNTED)[number]

export interface EventTally {
  /** Undefined for events without a name that may be repeated. */
  readonly eventName: string | undefined
  /** Invalid ones included. */
  readonly events: number
  /** In the order of `COUNTED`. All but `filtered` and `invalid` count events to be sent. */
  readonly counts: readonly number[]
  readonly warnings: ReadonlyMap<WarningCode, number>
  readonly invalidReasons: ReadonlyMap<InvalidReason, number>
}

const PLACES = Object.fromEntries(COUNTED.map((name, place) => [name, place])) as Record<Counted, number>

export function tallyEvents(prepared: readonly Prepared[]): EventTally[] {
  const tallies = new Map<string | undefined, ReturnType<typeof createTally>>()
  for (const event of prepared) {
    const { eventName } = event
    let tally = tallies.get(eventName)
    if (tally === undefined) tallies.set(eventName, (tally = createTally(eventName)))
    tally.events += 1
    for (const { code } of event.warnings) countWord(tally.warnings, code)
    if (event.status === 'prepared') addCounts(tally.counts, event)
    else tally.counts[PLACES[event.status]]! += 1
    if (event.status === 'invalid') countWord(tally.invalidReasons, event.reason)
  }
  return [...tallies.values()]
}

function createTally(eventName: string | undefined) {
  return {
    eventName,
    events: 0,
    counts: COUNTED.map(() => 0),
    warnings: new Map<WarningCode, number>(),
    invalidReasons: new Map<InvalidReason, number>(),
  }
}

function addCounts(
  counts: number[],
  { identifiers, warnings }: Extract<Prepared, { status: 'prepared' }>,
): void {
  const { em, ph, external_id, click_id, ip_and_user_agent } = identifiers
  if (em) counts[PLACES.em]! += 1
  if (ph) counts[PLACES.ph]! += 1
  if (external_id) counts[PLACES.external_id]! += 1
  if (click_id) counts[PLACES.click_id]! += 1
  if (ip_and_user_agent) counts[PLACES.ip_and_user_agent]! += 1
  if (warnings.length === 0) return
  counts[PLACES.warned]! += 1
  if (warnings.some(({ code }) => code === 'late_event')) counts[PLACES.late]! += 1
}

function countWord<Word>(words: Map<Word, number>, word: Word): void {
  words.set(word, (words.get(word) ?? 0) + 1)
}
