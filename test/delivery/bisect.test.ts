import assert from 'node:assert/strict'
import t from 'tap'
import { splitEvents } from '../../src/store/payload.ts'
import { makeSlice, bisect, play, searchOne } from './one-culprit.ts'
import fc from '../support/fast-check.ts'

t.test('one culprit among 1,000 costs at most 13 calls, wherever it is', async (t) =>
  searchOne(t, [0, 1, 2, 7, 124, 125, 333, 499, 500, 501, 611, 749, 750, 874, 937, 997, 998, 999]),
)

t.test('where most are culprits a bisect costs about as many calls as events', async (t) => {
  for (const [every, most] of [
    [1, 135],
    [2, 200],
    [10, 100],
  ] as const) {
    const events = Array.from({ length: 100 }, (_, n) => `"${n}"`)
    const { calls, canaries } = bisect(
      [makeSlice(1, events)],
      new Set(events.filter((_, n) => n % every === 0)),
    )
    t.ok(calls - canaries <= most, `one in ${every}: ${calls - canaries} calls`)
    t.ok(canaries <= 50, `${canaries} canaries`)
  }
})

t.test('every event is delivered or rejected once, and only culprits are rejected', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20, size: 'max' })
  fc.assert(
    fc.property(sizes, fc.infiniteStream(fc.nat(9)), (counts, chances) => {
      const slices = counts.map((count, batchId) =>
        makeSlice(
          batchId,
          Array.from({ length: count }, (_, n) => `"${batchId}/${n}"`),
        ),
      )
      const events = slices.flatMap(({ payload }) => splitEvents(payload))
      const culprits = new Set(events.filter(() => chances.next().value === 0))
      const { delivered, rejected } = bisect(slices, culprits)
      const sort = (list: readonly string[]) => list.toSorted()
      assert.deepEqual(sort(rejected), sort([...culprits]))
      assert.deepEqual(sort(delivered), sort(events.filter((event) => !culprits.has(event))))
    }),
  )
})

/** A thousand events at most, culprits of both kinds among them, a refusal that passes, and a moment when all is refused. */
const worlds = fc.record({
  kinds: fc.array(fc.constantFrom('good', 'good', 'good', 'bisect', 'ask'), { minLength: 1, maxLength: 80 }),
  passesAt: fc.nat(40),
  allRefusedFrom: fc.option(fc.nat(60), { nil: Infinity }),
  how: fc.constantFrom('ask', 'bisect'),
})

t.test('no refusal that passes, and no refused account, makes a good event a dead letter', async () => {
  fc.assert(
    fc.property(worlds, ({ kinds, passesAt, allRefusedFrom, how }) => {
      const events = kinds.map((kind, n) => `"${kind}/${n}"`)
      const isGood = (event: string) => event.startsWith('"good')
      const { delivered, rejected, kept, calls } = play([makeSlice(1, events)], (called, n) => {
        if (n >= allRefusedFrom) return how
        if (called.length === 0) return 'taken'
        if (n === passesAt || called.some((event) => event.startsWith('"ask'))) return 'ask'
        return called.every(isGood) ? 'taken' : 'bisect'
      })
      assert.deepEqual([...delivered, ...rejected, ...kept].toSorted(), events.toSorted(), 'each event once')
      assert.ok(delivered.every(isGood))
      const wrong = rejected.filter(isGood)
      // Between two questions to the canary.
      assert.ok(wrong.length <= (allRefusedFrom < Infinity && how === 'bisect' ? 2 : 0))
      if (allRefusedFrom === Infinity) assert.deepEqual(kept, [])
      const bad = kinds.filter((kind) => kind !== 'good').length
      assert.ok(
        calls <= 20 + bad * (Math.log2(events.length) + 6),
        `${calls} calls for ${bad} of ${events.length}`,
      )
    }),
  )
})
