import t from 'tap'
import { createJoin, omitEvents, pickEvents, splitEvents } from '../../src/store/payload.ts'
import fc from '../support/fast-check.ts'
import { joinEvents } from '../support/payload.ts'

/** One line of JSON, as events are: with the separator's characters, but never the separator. */
const events = fc.array(
  fc.jsonValue().map((value) => JSON.stringify([value, ', \n', 'é😀'])),
  { minLength: 1, maxLength: 8 },
)

t.test('what is joined, one by one or at once, is cut at its separators again', async () => {
  fc.assert(
    fc.property(events, fc.infiniteStream(fc.boolean()), fc.nat(200), (texts, choice, size) => {
      const payload = joinEvents(texts)
      const positions = texts.flatMap((_, index) => (choice.next().value ? [index] : []))
      const join = createJoin(size)
      for (const one of texts) join.add(one)
      const picked = positions.length === 0 ? '' : text(pickEvents(payload, positions.toReversed()))
      return (
        text(join.bytes()) === text(payload) &&
        splitEvents(payload).join() === texts.join() &&
        picked === text(joinEvents(positions.toReversed().map((position) => texts[position]!))) &&
        text(omitEvents(payload, positions)) ===
          text(joinEvents(texts.filter((_, index) => !positions.includes(index))))
      )
    }),
  )
})

function text(payload: Uint8Array | undefined): string {
  return payload === undefined ? '' : Buffer.from(payload).toString()
}

t.test('a join keeps an event whole that takes more bytes than characters', async (t) => {
  const join = createJoin(1)
  join.add('"a"')
  join.add(JSON.stringify('\u20ac'.repeat(500)))
  t.equal(text(join.bytes()), `"a",\n"${'\u20ac'.repeat(500)}"`)
})
