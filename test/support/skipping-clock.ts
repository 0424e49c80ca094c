/** The system's clock, but a test may skip time: what was to happen in it happens at once. For waits of minutes. */
import type { Clock } from '../../src/clock.ts'

export interface SkippingClock extends Clock {
  /** Moves both clocks on and fires what is due then. */
  skip(ms: number): void
}

interface Timer {
  readonly atMs: number
  readonly callback: () => void
  handle?: NodeJS.Timeout
}

export function createSkippingClock(): SkippingClock {
  let skippedMs = 0
  const timers = new Set<Timer>()
  const monotonicMs = () => performance.now() + skippedMs
  return {
    wallMs: () => Date.now() + skippedMs,
    monotonicMs,
    after(delayMs, callback) {
      const timer: Timer = { atMs: monotonicMs() + delayMs, callback }
      arm(timer)
      return () => disarm(timer)
    },
    skip(ms) {
      skippedMs += ms
      for (const timer of timers) arm(timer)
    },
  }

  function arm(timer: Timer): void {
    clearTimeout(timer.handle)
    timers.add(timer)
    timer.handle = setTimeout(
      () => {
        timers.delete(timer)
        timer.callback()
      },
      Math.max(0, Math.ceil(timer.atMs - monotonicMs())),
    ).unref()
  }

  function disarm(timer: Timer): void {
    clearTimeout(timer.handle)
    timers.delete(timer)
  }
}
