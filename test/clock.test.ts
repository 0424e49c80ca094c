import t from 'tap'
import { createAfter, repeat, systemClock } from '../src/clock.ts'
import { createManualClock } from './support/clock.ts'
import fc from './support/fast-check.ts'

t.test('a callback never comes early, however early and however often timers fire', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 10_000_000 }),
      fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 10 }),
      async (delayUs, earlyUs) => {
        const delayMs = delayUs / 1000
        const manual = createManualClock()
        const early = earlyUs.map((us) => us / 1000)
        const after = createAfter(manual.monotonicMs, (ms, callback) =>
          manual.after(Math.max(0, ms - (early.pop() ?? 0)), callback),
        )
        const setMs = manual.monotonicMs()
        const firedMs: number[] = []
        after(delayMs, () => void firedMs.push(manual.monotonicMs()))
        await manual.advance(2 * delayMs + 1)
        return firedMs.length === 1 && firedMs[0]! >= setMs + delayMs
      },
    ),
    { numRuns: 30 },
  )
})

t.test('a timer that was set again can be cancelled', async (t) => {
  const manual = createManualClock()
  const after = createAfter(manual.monotonicMs, (ms, callback) => manual.after(ms / 2, callback))
  let isCalled = false
  const cancel = after(1000, () => (isCalled = true))
  await manual.advance(800)
  cancel()
  t.equal(manual.pendingTimers(), 0)
  await manual.advance(1000)
  t.notOk(isCalled)
})

t.test("the system's clock calls back on time by itself", async (t) => {
  // Several with fractions of milliseconds: Node's own timers fire early for about a third of them.
  const late = await Promise.all(
    Array.from({ length: 50 }, (_, n) => {
      const delayMs = 1 + n * 0.137
      const dueMs = systemClock.monotonicMs() + delayMs
      return new Promise<number>((resolve) => {
        const alive = setTimeout(() => {}, 10_000)
        systemClock.after(delayMs, () => {
          clearTimeout(alive)
          resolve(systemClock.monotonicMs() - dueMs)
        })
      })
    }),
  )
  t.ok(Math.min(...late) >= 0, `${Math.min(...late)} ms after it was due`)
})

t.test('a delay that is longer than any timer of the runtime waits all the same', async (t) => {
  const cancel = systemClock.after(2 ** 40, () => t.fail('too early'))
  await new Promise((resolve) => setImmediate(resolve))
  cancel()
  t.pass()
})

t.test('what is repeated starts again after its end, and not once it is cancelled', async (t) => {
  const manual = createManualClock()
  let runs = 0
  let finish = () => {}
  const cancel = repeat(manual, 1000, () => {
    runs += 1
    return new Promise<void>((resolve) => (finish = resolve))
  })
  await manual.advance(5000)
  t.equal(runs, 1, 'the first one has not ended')
  finish()
  await manual.advance(1000)
  t.equal(runs, 2)
  cancel()
  finish()
  await manual.advance(5000)
  t.equal(runs, 2)
  t.equal(manual.pendingTimers(), 0)
})
