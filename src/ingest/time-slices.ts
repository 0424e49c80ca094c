/**
 * Bodies are parsed and prepared in turns of the loop, each of which has a few milliseconds for that: what comes when those
 * are spent waits in a line, in its order. Otherwise a hundred posts of ten events that come together would hold the loop
 * for 20 ms, and a hundred of a thousand for a second, with half a gigabyte of parsed bodies.
 *
 * Large bodies have a line of their own, which moves one by one, each over as many turns as it takes (`in-turns.ts`): the
 * events of one, prepared, take some times its bytes. Small ones pass them by: one storefront's import must not hold up another one's checkouts. While a post
 * waits it holds its body's bytes alone.
 */
import { LARGE_BYTES } from './admission.ts'

export interface TimeSlices {
  /** Runs the work when it is its turn; rejects as the work does. A small body that comes to an idle relay runs at once. */
  take<T>(bodyBytes: number, work: () => Promise<T>): Promise<T>
}

export interface TimeSlicesOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Calls back with the next turn of the loop. */
  readonly nextTurn: (run: () => void) => void
}

/** Never rejects. */
type Job = () => Promise<void>

const TIME_SLICE_MS = 8

export function createTimeSlices({ now, nextTurn }: TimeSlicesOptions): TimeSlices {
  const small: Job[] = []
  const large: Job[] = []
  let spentMs = 0
  let isTurnDue = false
  let isLargeRunning = false

  function dueTurn(): void {
    if (isTurnDue) return
    isTurnDue = true
    nextTurn(() => {
      isTurnDue = false
      spentMs = 0
      startLarge()
      runSmall()
    })
  }

  /** At the beginning of a turn, so that small ones, however many, cannot keep it from its own. */
  function startLarge(): void {
    const job = isLargeRunning ? undefined : large.shift()
    if (job === undefined) return
    isLargeRunning = true
    const startedMs = now()
    const done = job()
    spentMs += now() - startedMs
    void done.then(() => {
      isLargeRunning = false
      if (large.length > 0) dueTurn()
    })
  }

  /** Small work is done, but for what it waits for, when it returns. */
  function runSmall(): void {
    while (small.length > 0 && spentMs < TIME_SLICE_MS) {
      const startedMs = now()
      void small.shift()!()
      spentMs += now() - startedMs
    }
    // Also when none is left: the next one finds a turn that begins anew.
    if (spentMs > 0) dueTurn()
  }

  return {
    take: (bodyBytes, work) =>
      new Promise((resolve, reject) => {
        const job = async () => {
          try {
            resolve(await work())
          } catch (error) {
            reject(error)
          }
        }
        if (bodyBytes >= LARGE_BYTES) {
          large.push(job)
          dueTurn()
        } else {
          small.push(job)
          if (small.length === 1) runSmall()
        }
      }),
  }
}
