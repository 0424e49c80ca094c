/**
 * The times of what happened in the last `windowMs`, exactly: one number per entry in a ring that grows to `maxEntries`
 * and then forgets its oldest, so that a count saturates instead of the memory. An entry leaves the window when it is
 * exactly `windowMs` old. Times must not go backwards.
 */
export interface RollingLog {
  add(atMs: number): void
  count(nowMs: number): number
  /** The oldest entry still in the window at the last `add` or `count`. */
  oldestMs(): number | undefined
}

export function createRollingLog(windowMs: number, maxEntries: number): RollingLog {
  let times = new Float64Array(Math.min(FIRST_CAPACITY, maxEntries))
  let first = 0
  let size = 0

  function forget(nowMs: number): void {
    while (size > 0 && nowMs - times[first]! >= windowMs) drop()
  }

  function drop(): void {
    first = (first + 1) % times.length
    size -= 1
  }

  function grow(): void {
    const larger = new Float64Array(Math.min(times.length * 2, maxEntries))
    for (let index = 0; index < size; index += 1) larger[index] = times[(first + index) % times.length]!
    times = larger
    first = 0
  }

  return {
    add(atMs) {
      forget(atMs)
      if (size === times.length) {
        if (size < maxEntries) grow()
        else drop()
      }
      times[(first + size) % times.length] = atMs
      size += 1
    },
    count(nowMs) {
      forget(nowMs)
      return size
    },
    oldestMs: () => (size === 0 ? undefined : times[first]),
  }
}

const FIRST_CAPACITY = 1024
