import t from 'tap'
import { joinInSteps, omitEvents, pickEvents, splitEvents } from '../../src/store/payload.ts'
import fc from '../support/fast-check.ts'
import { joinEvents } from '../support/payload.ts'

/** One line of JSON, as events are: with the separator's characters, but never the separator. */
const events = fc.array(
  fc.jsonValue().map((value) => JSON.stringify([value, ', \n', 'é😀'])),
  { minLength: 1, maxLength: 8 },
)

t.test('what is joined, in steps or at once, is cut at its separators again', async () => {
  fc.assert(
    fc.property(events, fc.infiniteStream(fc.boolean()), (texts, choice) => {
      const payload = joinEvents(texts)
      const positions = texts.flatMap((_, index) => (choice.next().value ? [index] : []))
      const steps = joinInSteps(texts)
      let step = steps.next()
      while (step.done !== true) step = steps.next()
      const picked = positions.length === 0 ? '' : text(pickEvents(payload, positions.toReversed()))
      return (
        text(step.value) === text(payload) &&
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
