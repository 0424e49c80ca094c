/**
 * Shares the engine's thread among posts: work is a generator that yields between its steps, each of bounded work, and is
 * let go on for a few milliseconds of a turn of the loop. What waits for the disk, and what comes meanwhile, comes between.
 *
 * Small posts are done first, in their order, and can be committed before a large one moves on: by one slice a turn, one
 * after the other, since the events of one, prepared, take some times its bytes. So one storefront's import does not hold up
 * another one's checkouts.
 */
export interface Work {
  /** Rejects as the work throws. */
  run<T>(bytes: number, steps: () => Generator<void, T>): Promise<T>
}

export interface WorkOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Calls back with the next turn of the loop. */
  readonly nextTurn: (run: () => void) => void
}

/** Some 80 events. */
export const LARGE_BYTES = 64 * 1024
/** Of a turn, for small posts: what is prepared together is committed together. */
const SMALL_MS = 8
/** Of a turn, for a large one: small posts wait for no more than this. */
const LARGE_MS = 3

/** Goes on until a time, or to its end: answers whether it is there. */
type Job = (untilMs: number) => boolean

export function createWork({ now, nextTurn }: WorkOptions): Work {
  const small: Job[] = []
  const large: Job[] = []
  let isDue = false
  let isLargeNext = false

  function due(): void {
    if (isDue || small.length + large.length === 0) return
    isDue = true
    nextTurn(turn)
  }

  function turn(): void {
    isDue = false
    // Every second turn at the latest, so that small ones, however many, do not hold it up for ever.
    if (small.length === 0 || (isLargeNext && large.length > 0)) {
      isLargeNext = false
      if (large[0]?.(now() + LARGE_MS) === true) large.shift()
    } else {
      isLargeNext = true
      const untilMs = now() + SMALL_MS
      while (small.length > 0 && now() < untilMs) small.shift()!(Infinity)
    }
    due()
  }

  return {
    run: (bytes, steps) =>
      new Promise((resolve, reject) => {
        let generator: ReturnType<typeof steps> | undefined
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
