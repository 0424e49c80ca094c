import t from 'tap'
import { createWork, LARGE_BYTES } from '../../../src/store/engine/work.ts'
import { runDue } from '../../support/clock.ts'

/** Each step of work takes time by setting the clock; turns of the loop are given by hand. */
function setUp() {
  let nowMs = 0
  let due: (() => void)[] = []
  const told: string[] = []
  const work = createWork({ now: () => nowMs, nextTurn: (run) => void due.push(run) })
  return {
    work,
    told,
    /** So many steps of so many milliseconds. */
    steps: (name: string, count: number, ms: number) =>
      function* (): Generator<void, string> {
        for (let step = 0; step < count; step++) {
          told.push(name)
          nowMs += ms
          yield
        }
        return name
      },
    async nextTurn() {
      const runs = due
      due = []
      for (const run of runs) run()
      await runDue()
      return runs.length
    },
  }
}

t.test('small work is done in its order, as much as a turn has time for', async (t) => {
  const { work, told, steps, nextTurn } = setUp()
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => work.run(10, steps(name, 1, 6)))
  t.same(told, [], 'what comes in the same turn is prepared together')
  await nextTurn()
  t.same(told, ['a', 'b', 'c'], 'the third one begins while there is time left')
  const late = work.run(10, steps('late', 1, 3))
  await nextTurn()
  t.same(told, ['a', 'b', 'c', 'd', 'e', 'late'])
  t.same(await Promise.all([...all, late]), ['a', 'b', 'c', 'd', 'e', 'late'])
  t.equal(await nextTurn(), 0, 'an idle one asks for no turns')
})

t.test('a large one moves on by a slice a turn, and small ones pass it by', async (t) => {
  const { work, told, steps, nextTurn } = setUp()
  const first = work.run(LARGE_BYTES, steps('first', 4, 0.6))
  const second = work.run(10 * LARGE_BYTES, steps('second', 1, 0.6))
  await nextTurn()
  t.same(told, ['first', 'first'], 'a millisecond is over after two steps')
  const small = work.run(10, steps('small', 1, 3))
  await nextTurn()
  t.same(told.slice(2), ['small'], 'it can be committed before the large one goes on')
  t.equal(await small, 'small')
  await nextTurn()
  t.same(told.slice(3), ['first', 'first'])
  await nextTurn()
  t.same(await first, 'first')
  t.notOk(told.includes('second'), 'one at a time')
  await nextTurn()
  await nextTurn()
  t.equal(await second, 'second')
})

t.test('however many small ones come, a large one moves on every second turn', async (t) => {
  const { work, told, steps, nextTurn } = setUp()
  for (let n = 0; n < 10; n++) void work.run(10, steps('small', 1, 9))
  void work.run(LARGE_BYTES, steps('large', 1, 0))
  await nextTurn()
  await nextTurn()
  t.same(told, ['small', 'small', 'large'])
})

t.test('under a full load of small ones a large one gets a quarter of the time', async (t) => {
  const { work, told, steps, nextTurn } = setUp()
  void work.run(LARGE_BYTES, steps('large', 1000, 0.5))
  for (let n = 0; n < 200; n++) void work.run(10, steps('small', 1, 1.5))
  for (let turn = 0; turn < 20; turn++) await nextTurn()
  const largeMs = 0.5 * told.filter((name) => name === 'large').length
  const smallMs = 1.5 * told.filter((name) => name === 'small').length
  t.equal(smallMs, 10 * 16.5)
  t.ok(largeMs >= smallMs / 3, `${largeMs} ms beside ${smallMs}`)
  t.ok(largeMs < smallMs / 2)
})

t.test('a large one gets a millisecond beside single small ones', async (t) => {
  const { work, told, steps, nextTurn } = setUp()
  void work.run(LARGE_BYTES, steps('large', 1000, 0.5))
  for (let turn = 0; turn < 10; turn++) {
    void work.run(10, steps('small', 1, 1.5))
    await nextTurn()
    await nextTurn()
  }
  t.equal(told.filter((name) => name === 'large').length, 20)
})

t.test('what throws, also at once, costs nobody else its turn', async (t) => {
  const { work, steps, nextTurn } = setUp()
  const failing = work.run(LARGE_BYTES, function* (): Generator<void, string> {
    yield
    throw new Error('no JSON')
  })
  const throwing = work.run(10, () => {
    throw new Error('gone')
  })
  const next = work.run(LARGE_BYTES, steps('done', 1, 0))
  const outcomes = Promise.allSettled([failing, throwing, next])
  for (let n = 0; n < 3; n++) await nextTurn()
  t.match(await outcomes, [
    { reason: { message: 'no JSON' } },
    { reason: { message: 'gone' } },
    { value: 'done' },
  ])
})
