/** Time, as an argument: tests set it by hand. */
export interface Clock {
  /** Milliseconds since the epoch: for what is stored, and for the age of events. May be set back or forward. */
  readonly wallMs: () => number
  /** Milliseconds that only ever grow: for limits, waits and timeouts. */
  readonly monotonicMs: () => number
  /** Calls back once, never before `monotonicMs` has grown by `delayMs`; the answer cancels it. Keeps no process alive. */
  readonly after: (delayMs: number, callback: () => void) => () => void
}

/** setTimeout's own bound; a longer delay would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

/** A timer as a runtime has it: it may fire before its time. The answer cancels it. */
export type SetTimer = (delayMs: number, callback: () => void) => () => void

/**
 * Makes a clock's `after` of timers that may fire early: each is set again until the clock that callers compare with says
 * that the time has come. Node's fire up to a millisecond early by `performance.now()`, and none is longer than 24 days. A
 * callback that runs too early by its own clock, and does not ask again, would wait for ever.
 */
export function createAfter(monotonicMs: () => number, setTimer: SetTimer): Clock['after'] {
  return (delayMs, callback) => {
    const dueMs = monotonicMs() + delayMs
    let cancel = setTimer(delayMs, onFired)
    return () => cancel()

    function onFired(): void {
      const leftMs = dueMs - monotonicMs()
      if (leftMs > 0) cancel = setTimer(leftMs, onFired)
      else callback()
    }
  }
}

/** Resolves when `promise` has, or after `delayMs`. */
export async function orAfter(clock: Clock, delayMs: number, promise: Promise<unknown>): Promise<void> {
  let cancel = () => {}
  const patience = new Promise<void>((resolve) => {
    cancel = clock.after(delayMs, resolve)
  })
  await Promise.race([promise, patience])
  cancel()
}

export const sleep = (clock: Clock, delayMs: number) =>
  new Promise<void>((resolve) => void clock.after(delayMs, resolve))

/** Works run one after the other, in the order in which they were added, whatever becomes of those before. */
export function createSequence() {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run: <Result>(work: () => Promise<Result>): Promise<Result> => {
      const result = last.then(work)
      last = result.catch(() => undefined)
      return result
    },
    /** Resolves when those that were added have ended. */
    ended: () => last,
  }
}

/** Runs `work`, which never rejects, and again so long after it has ended. The answer ends this. */
export function repeat(
  clock: Clock,
  everyMs: number,
  work: () => Promise<void>,
  firstMs = everyMs,
): () => void {
  let isOver = false
  let cancel = clock.after(firstMs, run)
  function run(): void {
    void work().then(() => {
      if (!isOver) cancel = clock.after(everyMs, run)
    })
  }
  return () => {
    isOver = true
    cancel()
  }
}

const monotonicMs = () => performance.now()

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs,
  after: createAfter(monotonicMs, (delayMs, callback) => {
    const timer = setTimeout(callback, Math.min(LONGEST_DELAY_MS, Math.ceil(delayMs)))
    timer.unref()
    return () => clearTimeout(timer)
  }),
}
