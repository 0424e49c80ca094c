import fc from 'fast-check'
import t from 'tap'
import { halve, parcelOf, type Piece } from '../../src/delivery/parcel.ts'
import { afterRefusal, afterSuccess, groupOf, type Group } from '../../src/delivery/search.ts'
import { joinEvents, splitEvents } from '../../src/store/payload.ts'

function makePiece(parcelId: number, events: readonly string[]): Piece {
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

/** Plays Pinterest, which refuses a call without a word when it holds a culprit. */
function search(pieces: readonly Piece[], culprits: ReadonlySet<string>) {
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

t.test('one culprit among 1,000 costs at most 13 calls, wherever it stands', async (t) => {
  const events = Array.from({ length: 1000 }, (_, n) => `"${n}"`)
  const costs = events.map((culprit) => search([makePiece(1, events)], new Set([culprit])).calls)
  t.equal(Math.max(...costs), 13)
})

t.test('every event is delivered or rejected once, and only culprits are rejected', async (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20, size: 'max' })
  fc.assert(
    fc.property(sizes, fc.infiniteStream(fc.nat(9)), (counts, chances) => {
      const pieces = counts.map((count, parcelId) =>
        makePiece(
          parcelId,
          Array.from({ length: count }, (_, n) => `"${parcelId}/${n}"`),
        ),
      )
      const events = pieces.flatMap(({ payload }) => splitEvents(payload))
      const culprits = new Set(events.filter(() => chances.next().value === 0))
      const { delivered, rejected } = search(pieces, culprits)
      const sort = (list: readonly string[]) => list.toSorted()
      t.strictSame(sort(rejected), sort([...culprits]))
      t.strictSame(sort(delivered), sort(events.filter((event) => !culprits.has(event))))
    }),
  )
})
