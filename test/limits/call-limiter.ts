/** Never more than the limit, whatever happens: call limiter.test.ts tries some lives of an account, call limiter.long.ts many. */
import { createCallLimiter } from '../../src/limits/call-limiter.ts'
import fc from '../support/fast-check.ts'

const WINDOW_MS = 60_000

/** The most of these moments (ascending) that lie in any window of 60 seconds, both ends included. */
export function mostInAnyMinute(moments: readonly number[]): number {
  let most = 0
  let first = 0
  for (let last = 0; last < moments.length; last++) {
    while (moments[last]! - moments[first]! > WINDOW_MS) first += 1
    most = Math.max(most, last - first + 1)
  }
  return most
}

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

export function keepsToLimit(lives: number): void {
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
        const start = () =>
          createCallLimiter({
            settings: { CALLS_PER_MINUTE: callsPerMinute, CALL_BURST: burst },
            now: () => clockMs,
          })
        let callLimiter = start()
        let inFlight: number[] = []
        const arrivals: number[] = []
        let sent = 0
        const pass = (ms: number) => {
          realMs += ms
          clockMs += ms
          for (const arrivesMs of inFlight) {
            if (arrivesMs > realMs) continue
            arrivals.push(arrivesMs)
            callLimiter.finished('1')
          }
          inFlight = inFlight.filter((arrivesMs) => arrivesMs > realMs)
        }
        for (const action of steps) {
          switch (action.kind) {
            case 'burst':
              for (let call = 0; call < action.count && callLimiter.take('1') === 0; call++) {
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
              callLimiter = start()
          }
        }
        pass(40_000)
        return mostInAnyMinute(arrivals.sort((a, b) => a - b)) <= callsPerMinute
      },
    ),
    { numRuns: lives },
  )
}
