import t from 'tap'
import { chanceBound, DAY_SLOTS } from '../../src/telemetry/volume-judge.ts'
import { delayOf, judgeUsualWeeks, run, shop } from './shops.ts'

t.test('shops of every size go through four usual weeks without a mark', async (t) => judgeUsualWeeks(t, [1]))

t.test('what stops is marked: a flood within the hour, a trickle within the day', async (t) => {
  const noon = 10 * DAY_SLOTS + DAY_SLOTS / 2
  for (const [eventsPerDay, hours] of [
    [100_000, 1],
    [1000, 1.5],
    [200, 6],
    [40, 24],
  ] as const) {
    const usual = shop(eventsPerDay)
    const seen = run((slot) => (slot < noon ? usual(slot) : 0), noon + 2 * DAY_SLOTS)
    const delay = delayOf(seen, noon, 'drop')
    t.ok(delay >= 0 && delay <= hours * 4, `${eventsPerDay} a day: after ${delay / 4} hours`)
    t.equal(seen.marks, 1, 'it does not flap')
  }
})

t.test('so is a loop that posts everything five times', async (t) => {
  const noon = 10 * DAY_SLOTS + DAY_SLOTS / 2
  const usual = shop(2000)
  const seen = run((slot) => (slot < noon ? 1 : 5) * usual(slot), noon + DAY_SLOTS / 2)
  t.ok(delayOf(seen, noon, 'surge') <= 4)
  t.match(seen.last, { state: 'surge' })
})

t.test('a mark ends when things are as usual again', async (t) => {
  const noon = 10 * DAY_SLOTS + DAY_SLOTS / 2
  const usual = shop(5000)
  const seen = run((slot) => (slot >= noon && slot < noon + 16 ? 0 : usual(slot)), noon + DAY_SLOTS)
  t.equal(seen.marks, 1)
  t.equal(seen.last.state, 'normal')
  t.equal(seen.states[noon + 22], 'normal')
})

t.test(
  'one backfill neither hides a stop the next day nor makes the day after look like a drop',
  async (t) => {
    const usual = shop(2000)
    const backfill = 10 * DAY_SLOTS + DAY_SLOTS / 2
    const meanOf = (slot: number) => (slot >= backfill && slot < backfill + 8 ? 40 : 1) * usual(slot)
    const seen = run(meanOf, 14 * DAY_SLOTS)
    t.same([...new Set(seen.states.slice(backfill + 34))], ['normal'])
    const stop = backfill + DAY_SLOTS
    const stopped = run((slot) => (slot >= stop ? 0 : meanOf(slot)), stop + 8)
    t.ok(delayOf(stopped, stop, 'drop') <= 6 && delayOf(stopped, stop, 'drop') >= 0)
  },
)

t.test('a day of outage does not hide the next one', async (t) => {
  const usual = shop(2000)
  const first = 10 * DAY_SLOTS
  const second = first + 2 * DAY_SLOTS + DAY_SLOTS / 2
  const isOut = (slot: number) => (slot >= first && slot < first + DAY_SLOTS) || slot >= second
  const seen = run((slot) => (isOut(slot) ? 0 : usual(slot)), second + 8)
  t.equal(seen.states[second - 1], 'normal')
  t.equal(seen.last.state, 'drop')
})

t.test('while it learns only silence after much is marked', async (t) => {
  const steady = run(() => 30, DAY_SLOTS)
  t.same([...new Set(steady.states)], ['learning'])
  const silent = run((slot) => (slot < 20 ? 30 : 0), 24)
  t.match(silent.last, { state: 'drop', observed: 0 })
  t.equal(delayOf(silent, 20, 'drop'), 3, 'an hour later')
  const few = run((slot) => (slot < 20 ? 2 : 0), 40)
  t.equal(few.marks, 0)
  const again = run((slot) => (slot < 20 || slot > 40 ? 30 : 0), 60)
  t.equal(again.last.state, 'learning')
})

t.test('the bound is never below the chance itself', async (t) => {
  const chanceAtMost = (count: number, mean: number) => {
    let term = Math.exp(-mean)
    let sum = term
    for (let k = 1; k <= count; k++) sum += term *= mean / k
    return sum
  }
  for (const mean of [0.5, 3, 10, 40]) {
    for (let count = 0; count <= mean; count++)
      t.ok(chanceBound(count, mean) >= chanceAtMost(count, mean) - 1e-12)
    for (let count = Math.ceil(mean) + 1; count < 3 * mean + 5; count++)
      t.ok(chanceBound(count, mean) >= 1 - chanceAtMost(count - 1, mean) - 1e-12)
  }
  t.equal(chanceBound(0, 0), 1)
  t.equal(chanceBound(3, 0), 0)
})
