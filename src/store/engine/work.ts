/**
 * Shares the engine's thread among posts: work is a generator that yields after each bounded step and runs for a few
 * milliseconds of each turn of the loop. I/O and new messages are handled in between.
 *
 * Small posts go first, in their order, and then a large one gets a slice: a quarter of the time, or a millisecond. Large ones
 * are prepared one after the other, since prepared events take several times the bytes of their post. So one storefront's import
 * does not delay another one's checkouts, nor do these hold up the import.
 */
export type Work = ReturnType<typeof createWork>

export interface WorkOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Calls back in the next turn of the loop. */
  readonly nextTurn: (run: () => void) => void
}

/** Some 80 events. */
export const LARGE_BYTES = 64 * 1024
/**
 * Of a turn, for small posts: what is prepared together is committed together, and leaves in one call. It is long enough for the
 * 100 posts that come together where both cores are busy: with 8 ms they made 15 % more transactions and calls.
 */
const SMALL_MS = 16
/** Of a turn, for a large post, at least: how long a small one waits for it. A turn without work takes 4 µs. */
const LARGE_MS = 1
/** Of the time that small posts took before: a quarter of all. */
const LARGE_SHARE = 1 / 3

/** Runs until a time or to its end; returns whether it has ended. */
type Job = (untilMs: number) => boolean

export function createWork({ now, nextTurn }: WorkOptions) {
  const small: Job[] = []
  const large: Job[] = []
  let isDue = false
  let isLargeNext = false
  /** What small posts took in the turn before. */
  let smallMs = 0

  function due(): void {
    if (isDue || small.length + large.length === 0) return
    isDue = true
    nextTurn(turn)
  }

  function turn(): void {
    isDue = false
    // At least every second turn, however many small ones wait.
    if (small.length === 0 || (isLargeNext && large.length > 0)) {
      const sliceMs = Math.max(LARGE_MS, isLargeNext ? smallMs * LARGE_SHARE : 0)
      isLargeNext = false
      if (large[0]?.(now() + sliceMs) === true) large.shift()
    } else {
      isLargeNext = true
      const startedMs = now()
      while (small.length > 0 && now() < startedMs + SMALL_MS) small.shift()!(Infinity)
      smallMs = now() - startedMs
    }
    due()
  }

  return {
    /** Rejects as the work throws. */
    run: <T>(bytes: number, steps: () => Generator<void, T>): Promise<T> =>
      new Promise((resolve, reject) => {
        let generator: Generator<void, T> | undefined
        const job: Job = (untilMs) => {
          try {
            generator ??= steps()
            for (;;) {
              const step = generator.next()
              if (step.done === true) {
                resolve(step.value)
                return true
              }
              if (now() >= untilMs) return false
            }
          } catch (error) {
            reject(error)
            return true
          }
        }
        if (bytes < LARGE_BYTES) small.push(job)
        else large.push(job)
        due()
      }),
  }
}
