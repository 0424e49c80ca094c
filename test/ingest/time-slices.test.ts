import t from 'tap'
import { LARGE_BYTES } from '../../src/ingest/admission.ts'
import { createTimeSlices } from '../../src/ingest/time-slices.ts'
import { acknowledge } from '../support/clock.ts'

/** Work takes time by setting the clock; turns of the loop are given by hand. */
function setUp() {
  let nowMs = 0
  let due: (() => void)[] = []
  const told: string[] = []
  const timeSlices = createTimeSlices({ now: () => nowMs, nextTurn: (run) => void due.push(run) })
  return {
    timeSlices,
    told,
    /** Work that takes so many milliseconds before it waits for anything. */
    work: (name: string, ms: number) => async () => {
      told.push(name)
      nowMs += ms
      return name
    },
    async nextTurn() {
      await acknowledge()
      const runs = due
      due = []
      for (const run of runs) run()
      await acknowledge()
    },
    duty: () => due.length,
  }
}

t.test(
  'small bodies run at once until the turn is spent; the rest waits for the next ones, in its order',
  async (t) => {
    const { timeSlices, told, work, nextTurn, duty } = setUp()
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => timeSlices.take(10, work(name, 3)))
    t.same(told, ['a', 'b', 'c'], 'the third one begins while there is time left')
    const late = timeSlices.take(10, work('late', 3))
    t.same(told, ['a', 'b', 'c'], 'nobody overtakes')
    await nextTurn()
    t.same(told, ['a', 'b', 'c', 'd', 'e', 'late'])
    t.same(await Promise.all([...all, late]), ['a', 'b', 'c', 'd', 'e', 'late'])
    await nextTurn()
    t.equal(duty(), 0, 'an idle one asks for no turns')
    void timeSlices.take(10, work('again', 1))
    t.equal(told.at(-1), 'again', 'at once')
  },
)

t.test('large bodies go one by one, and small ones pass them by', async (t) => {
  const { timeSlices, told, work, nextTurn } = setUp()
  const slices = Promise.withResolvers<void>()
  const first = timeSlices.take(LARGE_BYTES, async () => {
    told.push('first begins')
    await slices.promise
    told.push('first ends')
  })
  void timeSlices.take(10 * LARGE_BYTES, work('second', 20))
  t.same(told, [], 'each begins with a turn')
  await nextTurn()
  void timeSlices.take(10, work('small', 3))
  t.same(told, ['first begins', 'small'])
  await nextTurn()
  await nextTurn()
  t.same(told, ['first begins', 'small'], 'one at a time')
  slices.resolve()
  await first
  await nextTurn()
  t.same(told, ['first begins', 'small', 'first ends', 'second'])
})

t.test('however many small ones come, a large one begins', async (t) => {
  const { timeSlices, told, work, nextTurn } = setUp()
  for (let n = 0; n < 10; n++) void timeSlices.take(10, work('small', 5))
  void timeSlices.take(LARGE_BYTES, work('large', 0))
  t.same(told, ['small', 'small'])
  await nextTurn()
  t.same(told, ['small', 'small', 'large', 'small', 'small'])
})

t.test('what fails, also at once, costs nobody else its turn', async (t) => {
  const { timeSlices, work, nextTurn } = setUp()
  const failing = timeSlices.take(LARGE_BYTES, () => Promise.reject(new Error('no JSON')))
  const throwing = timeSlices.take(LARGE_BYTES, () => {
    throw new Error('gone')
  })
  const next = timeSlices.take(LARGE_BYTES, work('done', 1))
  const outcomes = Promise.allSettled([failing, throwing, next])
  for (let n = 0; n < 3; n++) await nextTurn()
  t.match(await outcomes, [
    { reason: { message: 'no JSON' } },
    { reason: { message: 'gone' } },
    { value: 'done' },
  ])
})
