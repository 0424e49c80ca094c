/**
 * Work on a large body, in turns of the loop: a generator that yields between its steps, each of bounded work, and is let go
 * on only as long as its turn lasts. Other posts, and the health check, come between.
 */
import { setImmediate as immediate } from 'node:timers/promises'

export interface Loop {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Resolves with the next turn of the loop. */
  readonly nextTurn: () => Promise<unknown>
}

/** Some 250 usual events; a hostile one alone may take as long. */
const TIME_SLICE_MS = 5

const systemLoop: Loop = { now: () => performance.now(), nextTurn: () => immediate() }

/** Work that is done within one turn is done when this returns. Rejects as the work throws. */
export async function inTimeSlices<T>(work: Generator<void, T>, { now, nextTurn } = systemLoop): Promise<T> {
  let startedMs = now()
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    if (now() - startedMs > TIME_SLICE_MS) {
      await nextTurn()
      startedMs = now()
    }
  }
}
