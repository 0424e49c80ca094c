/** Time, as an argument: tests set it by hand. */
export interface Clock {
  /** Milliseconds since the epoch: for what is stored, and for the age of events. May be set back or forth. */
  readonly wallMs: () => number
  /** Milliseconds that only ever grow: for limits, waits and timeouts. */
  readonly monotonicMs: () => number
  /** Calls back once, not before `delayMs` have passed; the answer cancels it. Keeps no process alive. */
  readonly after: (delayMs: number, callback: () => void) => () => void
}

/** setTimeout's own bound; a longer delay would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

/** Resolves when `promise` has, or after `delayMs`. */
export async function orAfter(clock: Clock, delayMs: number, promise: Promise<unknown>): Promise<void> {
  let cancel = () => {}
  const patience = new Promise<void>((resolve) => {
    cancel = clock.after(delayMs, resolve)
  })
  await Promise.race([promise, patience])
  cancel()
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(LONGEST_DELAY_MS, Math.ceil(delayMs)))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
