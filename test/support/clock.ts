/** A clock that stands still until a test moves it; timers fire in order while it moves. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../src/clock.ts'

export interface ManualClock extends Clock {
  /** Moves both clocks on, fires what is due in order, and lets promises run between. */
  advance(ms: number): Promise<void>
  /** Sets the wall clock alone, as an operator or NTP would. */
  setWall(ms: number): void
  pendingTimers(): number
}

export function createManualClock(wallStartMs = Date.UTC(2026, 0, 15, 12)): ManualClock {
  let monotonic = 1_000_000
  let wallOffset = wallStartMs - monotonic
  let timers: { atMs: number; callback: () => void }[] = []
  return {
    // Whole, as of a real one: timers may be of fractions.
    wallMs: () => Math.floor(monotonic + wallOffset),
    monotonicMs: () => monotonic,
    after(delayMs, callback) {
      const timer = { atMs: monotonic + Math.max(0, delayMs), callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    async advance(ms) {
      const untilMs = monotonic + ms
      await runDue()
      for (;;) {
        const next = timers.toSorted((a, b) => a.atMs - b.atMs)[0]
        if (!next || next.atMs > untilMs) break
        timers = timers.filter((timer) => timer !== next)
        monotonic = Math.max(monotonic, next.atMs)
        next.callback()
        await runDue()
      }
      monotonic = untilMs
      await runDue()
    },
    setWall(ms) {
      wallOffset = ms - monotonic
    },
    pendingTimers: () => timers.length,
  }
}

/** Lets microtasks and immediates that are due run, a few generations of them. */
export async function runDue(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve))
}

/** A question to a relay costs a millisecond of CPU. */
const PACE_MS = 25

/** Far above what anything takes on a slow machine, and less than what the runner waits for a word of a test. */
const PATIENCE_MS = 120_000

/** Asks again and again until it is so, for what nothing tells of. Answers how long it took; what never comes rejects. */
export async function until(
  isTrue: () => boolean | Promise<boolean>,
  paceMs = PACE_MS,
  patienceMs = PATIENCE_MS,
): Promise<number> {
  const startedMs = performance.now()
  while (!(await isTrue())) {
    if (performance.now() - startedMs > patienceMs) throw new Error(`never came: ${isTrue.toString()}`)
    await delay(paceMs)
  }
  return performance.now() - startedMs
}
