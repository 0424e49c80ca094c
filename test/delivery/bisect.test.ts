import assert from 'node:assert/strict'
import t from 'tap'
import { splitEvents } from '../../src/store/payload.ts'
import { makeSlice, bisect, searchOne } from './one-culprit.ts'
import fc from '../support/fast-check.ts'

t.test('one culprit among 1,000 costs at most 13 calls, wherever it stands', async (t) =>
  searchOne(t, [0, 1, 2, 7, 124, 125, 333, 499, 500, 501, 611, 749, 750, 874, 937, 997, 998, 999]),
)

t.test('where most are culprits a bisect costs about as many calls as events', async (t) => {
  for (const [every, most] of [
    [1, 135],
    [2, 200],
    [10, 100],
  ] as const) {
    const events = Array.from({ length: 100 }, (_, n) => `"${n}"`)
    const { calls } = bisect([makeSlice(1, events)], new Set(events.filter((_, n) => n % every === 0)))
    t.ok(calls <= most, `one in ${every}: ${calls} calls`)
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
