/** Timers of one length, which fire when a test says so: a time limit that no slow machine misses. */
import type { Test } from 'tap'

export interface Deadlines {
  /** How many are set. */
  count(): number
  fire(): void
}

export function catchDeadlines(t: Test, lengthMs: number): Deadlines {
  const { setTimeout, clearTimeout } = globalThis
  const set = new Map<unknown, () => void>()
  globalThis.setTimeout = ((callback: () => void, delayMs?: number, ...rest: []) => {
    const timer = setTimeout(callback, delayMs, ...rest)
    if (delayMs === lengthMs) set.set(timer, callback)
    return timer
  }) as typeof setTimeout
  globalThis.clearTimeout = (timer) => {
    set.delete(timer)
    clearTimeout(timer)
  }
  t.teardown(() => Object.assign(globalThis, { setTimeout, clearTimeout }))
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
