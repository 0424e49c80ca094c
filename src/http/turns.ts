/**
 * Bodies are parsed and prepared in turns of the loop, each of which has a few milliseconds for that: what comes when those
 * are spent waits in a line, in its order. Otherwise a hundred posts of ten events that come together would hold the loop
 * for 20 ms, and a hundred of a thousand for a second, with half a gigabyte of parsed bodies.
 *
 * A large body gets the line to itself until it is done, over as many turns as it takes: a parsed one takes some six times
 * its bytes, so that one at a time is enough. While a post waits it holds its body's bytes alone.
 */
import { LARGE_BYTES } from './room.ts'

export interface Turns {
  /** Runs the work when it is its turn; rejects as the work does. What comes to an idle relay runs at once. */
  take<T>(bodyBytes: number, work: () => Promise<T>): Promise<T>
}

export interface TurnsOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Calls back with the next turn of the loop. */
  readonly nextTurn: (run: () => void) => void
}

interface Job {
  readonly isLarge: boolean
  /** Never rejects. */
  readonly run: () => Promise<void>
}

const TURN_MS = 8

export function createTurns({ now, nextTurn }: TurnsOptions): Turns {
  const line: Job[] = []
  let spentMs = 0
  let isTurnDue = false
  let isLargeRunning = false

  function dueTurn(): void {
    if (isTurnDue) return
    isTurnDue = true
    nextTurn(() => {
      isTurnDue = false
      spentMs = 0
      pump()
    })
  }

  function pump(): void {
    while (line.length > 0 && !isLargeRunning && spentMs < TURN_MS) start(line.shift()!)
    if (line.length > 0 && !isLargeRunning) dueTurn()
  }

  /** Small work is done, but for what it waits for, when it returns. */
  function start({ isLarge, run }: Job): void {
    // Whoever spends time sees to it that the next turn begins anew.
    dueTurn()
    const startedMs = now()
    const done = run()
    spentMs += now() - startedMs
    if (!isLarge) return
    isLargeRunning = true
    void done.then(() => {
      isLargeRunning = false
      dueTurn()
    })
  }

  return {
    take: (bodyBytes, work) =>
      new Promise((resolve, reject) => {
        const run = async () => {
          try {
            resolve(await work())
          } catch (error) {
            reject(error)
          }
        }
        line.push({ isLarge: bodyBytes >= LARGE_BYTES, run })
        if (line.length === 1) pump()
      }),
  }
}
