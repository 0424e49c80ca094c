/** Which batches those who follow the trail are told of. */
import t from 'tap'
import { createTrailTail } from '../../../src/store/core/trail-tail.ts'

const numbers = (first: number, count: number) => Array.from({ length: count }, (_, n) => first + n)

t.test('what was added since the last question, each batch once, the latest last', async (t) => {
  const tail = createTrailTail()
  tail.note(new Set([1, 2]))
  const { position } = tail.since(undefined)
  t.same(tail.since(undefined).batchIds, [])
  tail.note(new Set([2, 3]))
  tail.note(new Set())
  tail.note(new Set([4, 2]))
  const fresh = tail.since(position)
  t.same(fresh.batchIds, [3, 4, 2])
  t.same(tail.since(fresh.position).batchIds, [])
  t.same(tail.since(0).batchIds, [1, 3, 4, 2])
})

t.test('of a long time the latest 500, however many transactions had them', async (t) => {
  const tail = createTrailTail()
  for (const batchId of numbers(1, 3000)) tail.note(new Set([batchId]))
  t.same(tail.since(0).batchIds, numbers(2501, 500))
  const { position } = tail.since(undefined)
  tail.note(new Set(numbers(5000, 1500)))
  t.same(tail.since(position).batchIds, numbers(6000, 500))
  tail.note(new Set([7000]))
  t.same(tail.since(position).batchIds, [...numbers(6001, 499), 7000])
})
