import fc from 'fast-check'
import t from 'tap'
import { createGuard } from '../../src/budget/guard.ts'

const WINDOW_MS = 60_000

/** The most of these moments (ascending) that lie in any window of 60 seconds, both ends included. */
function mostInAnyMinute(moments: readonly number[]): number {
  let most = 0
  let first = 0
  for (let last = 0; last < moments.length; last++) {
    while (moments[last]! - moments[first]! > WINDOW_MS) first += 1
    most = Math.max(most, last - first + 1)
  }
  return most
}

t.test('a bucket of unknown history begins empty', async (t) => {
  let nowMs = 5
  const guard = createGuard({ callsPerMinute: 5000, callBurst: 250, now: () => nowMs })
  t.equal(guard.take('1'), 13)
  nowMs += 13
  t.equal(guard.take('1'), 0)
})

t.test('another account does not notice', async (t) => {
  let nowMs = 0
  const guard = createGuard({ callsPerMinute: 5000, callBurst: 250, now: () => nowMs })
  nowMs = 60_000
  for (let call = 0; call < 250; call++) {
    t.equal(guard.take('1'), 0)
    guard.finished('1')
  }
  t.not(guard.take('1'), 0)
  t.equal(guard.take('2'), 0)
})

t.test('what arrives late still counts: a call in flight occupies its place in the bucket', async (t) => {
  let nowMs = 0
  const guard = createGuard({ callsPerMinute: 60, callBurst: 10, now: () => nowMs })
  nowMs = 600_000
  for (let call = 0; call < 4; call++) t.equal(guard.take('1'), 0)
  nowMs = 1_200_000
  t.equal(guard.level('1'), 6, 'the bucket refilled only around the calls that are still out')
  for (let call = 0; call < 4; call++) guard.finished('1')
  t.equal(guard.level('1'), 6, 'coming back adds nothing by itself')
  nowMs += 60_000
  t.equal(guard.level('1'), 10)
})

/**
 * A life of one account: calls asked for at arbitrary moments, each taking an arbitrary time until it arrives at
 * Pinterest, the clock jumping, the process restarting. `real` time is what Pinterest's clock shows.
 */
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('burst' as const), count: fc.integer({ min: 1, max: 400 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('idle' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('idle' as const), ms: fc.integer({ min: 0, max: 200_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('back' as const), ms: fc.integer({ min: 1, max: 90_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
)

t.test('never more than CALLS_PER_MINUTE in any rolling 60 seconds, whatever happens', async () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 2, max: 600 }),
      fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 7 }),
      (steps, burst, refill, delays) => {
        const callsPerMinute = burst + refill
        let realMs = 0
        let clockMs = 1000
        const start = () => createGuard({ callsPerMinute, callBurst: burst, now: () => clockMs })
        let guard = start()
        let inFlight: number[] = []
        const arrivals: number[] = []
        let sent = 0
        const pass = (ms: number) => {
          realMs += ms
          clockMs += ms
          for (const arrivesMs of inFlight) {
            if (arrivesMs > realMs) continue
            arrivals.push(arrivesMs)
            guard.finished('1')
          }
          inFlight = inFlight.filter((arrivesMs) => arrivesMs > realMs)
        }
        for (const action of steps) {
          switch (action.kind) {
            case 'burst':
              for (let call = 0; call < action.count && guard.take('1') === 0; call++) {
                inFlight.push(realMs + delays[sent++ % delays.length]!)
              }
              break
            case 'idle':
              pass(action.ms)
              break
            case 'back':
              clockMs -= action.ms
              break
            case 'restart':
              // What was in flight is cut off with its process; it had arrived or never will.
              arrivals.push(...inFlight.map(() => realMs))
              inFlight = []
              clockMs = 1000
              guard = start()
          }
        }
        pass(40_000)
        return mostInAnyMinute(arrivals.sort((a, b) => a - b)) <= callsPerMinute
      },
    ),
    { numRuns: 3000 },
  )
})

t.test('saturated, it uses at least 94 % of the limit, and never more than all of it', async (t) => {
  let nowMs = 0
  const guard = createGuard({ callsPerMinute: 5000, callBurst: 250, now: () => nowMs })
  const moments: number[] = []
  const perMinute: number[] = []
  for (let minute = 0; minute < 10; minute++) {
    let calls = 0
    for (; nowMs < (minute + 1) * 60_000; nowMs += 1) {
      while (guard.take('1') === 0) {
        guard.finished('1')
        moments.push(nowMs)
        calls += 1
      }
    }
    perMinute.push(calls)
  }
  t.ok(Math.min(...perMinute) >= 4700, `the slowest minute had ${Math.min(...perMinute)} calls`)
  t.ok(mostInAnyMinute(moments) <= 5000, `the fullest minute had ${mostInAnyMinute(moments)} calls`)
})
