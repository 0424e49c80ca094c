import t from 'tap'
import { watchClock } from '../src/clock-watch.ts'
import { createManualClock } from './support/clock.ts'

const silentLog = { debug() {}, info() {}, warn() {}, error() {} }
const MINUTE_MS = 60_000

t.test('a clock that goes evenly is trusted, however long nobody looks', async (t) => {
  const clock = createManualClock()
  const isTrusted = watchClock(clock, silentLog)
  t.ok(isTrusted())
  await clock.advance(100 * 24 * 60 * MINUTE_MS)
  t.ok(isTrusted())
})

t.test('a clock that is slewed is trusted', async (t) => {
  const clock = createManualClock()
  const isTrusted = watchClock(clock, silentLog)
  for (let minute = 0; minute < 60; minute++) {
    await clock.advance(MINUTE_MS)
    clock.setWall(clock.wallMs() + 2000)
    t.ok(isTrusted())
  }
})

for (const jumpMs of [8 * 24 * 60 * MINUTE_MS, -2 * 60 * MINUTE_MS]) {
  t.test(`a clock that was set by ${jumpMs / MINUTE_MS} minutes is not trusted for a while`, async (t) => {
    const clock = createManualClock()
    const warned: object[] = []
    const isTrusted = watchClock(clock, { ...silentLog, warn: (fields) => void warned.push(fields) })
    clock.setWall(clock.wallMs() + jumpMs)
    t.notOk(isTrusted())
    await clock.advance(14 * MINUTE_MS)
    t.notOk(isTrusted())
    await clock.advance(2 * MINUTE_MS)
    t.ok(isTrusted())
    t.strictSame(warned, [{ reason: 'clock_set', delay_ms: jumpMs }], 'told once')
  })
}

t.test('setting it back counts from then', async (t) => {
  const clock = createManualClock()
  const isTrusted = watchClock(clock, silentLog)
  clock.setWall(clock.wallMs() + 60 * MINUTE_MS)
  t.notOk(isTrusted())
  await clock.advance(10 * MINUTE_MS)
  clock.setWall(clock.wallMs() - 60 * MINUTE_MS)
  await clock.advance(10 * MINUTE_MS)
  t.notOk(isTrusted())
  await clock.advance(15 * MINUTE_MS)
  t.ok(isTrusted())
})
