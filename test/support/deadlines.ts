/** Timers of one length, or of a range, which fire when a test says so and never by themselves: time limits that no slow machine misses. */
import type { Test } from 'tap'

export interface Deadlines {
  /** How many are set. */
  count(): number
  fire(): void
}

/** What Node takes at most: no test runs so long. */
const NEVER_MS = 2 ** 31 - 1

export function catchDeadlines(t: Test, leastMs: number, mostMs = leastMs): Deadlines {
  const { setTimeout, clearTimeout } = globalThis
  const set = new Map<unknown, () => void>()
  globalThis.setTimeout = ((callback: () => void, delayMs?: number, ...rest: []) => {
    const isCaught = delayMs !== undefined && delayMs >= leastMs && delayMs <= mostMs
    const timer = setTimeout(callback, isCaught ? NEVER_MS : delayMs, ...rest)
    if (isCaught) set.set(timer, callback)
    return timer
  }) as typeof setTimeout
  globalThis.clearTimeout = (timer) => {
    set.delete(timer)
    clearTimeout(timer)
  }
  t.teardown(() => {
    Object.assign(globalThis, { setTimeout, clearTimeout })
    for (const timer of set.keys()) clearTimeout(timer as NodeJS.Timeout)
  })
  return {
    count: () => set.size,
    fire() {
      for (const [timer, callback] of set) {
        globalThis.clearTimeout(timer as NodeJS.Timeout)
        callback()
      }
    },
  }
}
