/** The search for culprits, played against a Pinterest that refuses a call without a word when it holds one. */
import type { Test } from 'tap'
import { halve, parcelOf, type Piece } from '../../src/delivery/parcel.ts'
import { afterRefusal, afterSuccess, groupOf, type Group } from '../../src/delivery/search.ts'
import { joinEvents, splitEvents } from '../../src/store/payload.ts'

export function makePiece(parcelId: number, events: readonly string[]): Piece {
  return parcelOf({
    parcelId,
    adAccountId: '1',
    isTest: false,
    payload: joinEvents(events),
    eventCount: events.length,
    settled: [],
    oldestEventTimeS: 0,
    receivedAtMs: 0,
    attempts: 0,
    isReplay: false,
    history: [],
  }).piece
}

export function search(pieces: readonly Piece[], culprits: ReadonlySet<string>) {
  const delivered: string[] = []
  const rejected: string[] = []
  let calls = 0
  for (let group: Group | undefined = groupOf(pieces); group; calls++) {
    const events = group.pieces.flatMap(({ payload }) => splitEvents(payload))
    if (events.some((event) => culprits.has(event))) {
      const { culprit, next } = afterRefusal(group, halve)
      if (culprit) rejected.push(...splitEvents(culprit.payload))
      group = next
    } else {
      delivered.push(...events)
      group = afterSuccess(group, halve)
    }
  }
  return { delivered, rejected, calls }
}

/** One culprit among 1,000, at each of these places. */
export function searchOne(t: Test, places: readonly number[]): void {
  const events = Array.from({ length: 1000 }, (_, n) => `"${n}"`)
  const costs = places.map((place) => search([makePiece(1, events)], new Set([events[place]!])).calls)
  t.equal(Math.max(...costs), 13)
}
