/**
 * Large bodies are parsed and prepared one after the other; small ones pass at once. A parsed body takes some six times
 * its bytes, and each would have its slice of every turn of the loop: a hundred posts of a thousand events that came
 * together would hold half a gigabyte, and keep the loop from turning for a second. While a post waits for its turn, it
 * holds its body's bytes alone.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LARGE_BYTES } from './room.ts'

export interface Turns {
  /** Runs the work when it is its turn, which begins with a turn of the loop; rejects as the work does. */
  take<T>(bodyBytes: number, work: () => Promise<T>): Promise<T>
}

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  return {
    async take(bodyBytes, work) {
      if (bodyBytes < LARGE_BYTES) return await work()
      const turn = last.then(() => nextTurn()).then(work)
      last = turn.catch(() => undefined)
      return await turn
    },
  }
}
