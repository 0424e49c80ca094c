/** The bisect for culprits, played against a Pinterest that refuses a call without a word when it holds one. */
import type { Test } from 'tap'
import { cut, batchOf, type Slice } from '../../src/delivery/batch.ts'
import { afterRefusal, afterSuccess, groupOf, type Group } from '../../src/delivery/bisect.ts'
import { joinEvents, splitEvents } from '../../src/store/payload.ts'

export function makeSlice(batchId: number, events: readonly string[]): Slice {
  return batchOf({
    batchId,
    adAccountId: '1',
    isTest: false,
    payload: joinEvents(events),
    eventCount: events.length,
    acknowledged: [],
    oldestEventTimeS: 0,
    receivedAtMs: 0,
    attempts: 0,
    isReplay: false,
    history: [],
  }).slice
}

export function bisect(slices: readonly Slice[], culprits: ReadonlySet<string>) {
  const delivered: string[] = []
  const rejected: string[] = []
  let calls = 0
  for (let group: Group | undefined = groupOf(slices); group; calls++) {
    const events = group.slices.flatMap(({ payload }) => splitEvents(payload))
    if (events.some((event) => culprits.has(event))) {
      const { culprit, next } = afterRefusal(group, cut)
      if (culprit) rejected.push(...splitEvents(culprit.payload))
      group = next
    } else {
      delivered.push(...events)
      group = afterSuccess(group, cut)
    }
  }
  return { delivered, rejected, calls }
}

/** One culprit among 1,000, at each of these places. */
export function searchOne(t: Test, places: readonly number[]): void {
  const events = Array.from({ length: 1000 }, (_, n) => `"${n}"`)
  const costs = places.map((place) => bisect([makeSlice(1, events)], new Set([events[place]!])).calls)
  t.equal(Math.max(...costs), 13)
}
