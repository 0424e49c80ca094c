/**
 * Maps the first 8 of a key's 16 bytes to the number of its row, in 12 bytes, by open addressing. Of keys that share those
 * 8 bytes it has one at most; only the row shows which.
 *
 * It never takes more than `maxSlots`: then it is full, until keys are removed.
 */
export type DedupeIndex = ReturnType<typeof createDedupeIndex>

const FREE = 0
const FIRST_SLOTS = 1 << 12
/** Beyond it, runs of taken slots grow long. */
const LOAD = 0.8
/** 25 MiB, for 1.6 million keys: a day of 19 events a second. */
const MAX_SLOTS = 1 << 21
const MOST_ROWS = 0xffff_ffff

export function createDedupeIndex(maxSlots: number = MAX_SLOTS) {
  let slots = Math.min(FIRST_SLOTS, maxSlots)
  /** Three places a slot: the 8 bytes of the key, and the row. */
  let table = new Uint32Array(3 * slots)
  let size = 0

  /** The slot of the key, or -1. */
  function search(key: Uint8Array): number {
    const [high, low] = [readHigh(key), readLow(key)]
    for (let slot = high & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const found = table[3 * slot + 2]!
      if (found === FREE) return -1
      if (table[3 * slot] === high && table[3 * slot + 1] === low) return slot
    }
  }

  function put(high: number, low: number, row: number): void {
    let slot = high & (slots - 1)
    while (table[3 * slot + 2] !== FREE) slot = (slot + 1) & (slots - 1)
    table[3 * slot] = high
    table[3 * slot + 1] = low
    table[3 * slot + 2] = row
    size += 1
  }

  /** Fills the hole with what is behind it and would be searched for from there: no mark stays, which searches would pass. */
  function clear(slot: number): void {
    const distance = (from: number, to: number) => (to - from) & (slots - 1)
    let hole = slot
    for (let next = (slot + 1) & (slots - 1); table[3 * next + 2] !== FREE; next = (next + 1) & (slots - 1)) {
      if (distance(table[3 * next]!, next) < distance(hole, next)) continue
      table.copyWithin(3 * hole, 3 * next, 3 * next + 3)
      hole = next
    }
    table[3 * hole + 2] = FREE
    size -= 1
  }

  function grow(): void {
    const before = table
    slots *= 2
    table = new Uint32Array(3 * slots)
    size = 0
    for (let at = 0; at < before.length; at += 3) {
      const row = before[at + 2]!
      if (row !== FREE) put(before[at]!, before[at + 1]!, row)
    }
    // Freed at once: the garbage collector seldom runs on this thread, and this may be 12 MiB.
    before.buffer.transfer(0)
  }

  return {
    /** No more keys, or no more rows, fit. */
    isFull: (row: number) => row > MOST_ROWS || size >= Math.floor(LOAD * maxSlots),
    /** The row that the key may be in. */
    find(key: Uint8Array): number | undefined {
      const slot = search(key)
      return slot < 0 ? undefined : table[3 * slot + 2]
    },
    /** Nothing must be found for the key, and the index not be full. */
    add(key: Uint8Array, row: number): void {
      if (size + 1 > LOAD * slots) grow()
      put(readHigh(key), readLow(key), row)
    },
    /** Answers whether the key was there under this row. */
    remove(key: Uint8Array, row: number): boolean {
      const slot = search(key)
      if (slot < 0 || table[3 * slot + 2] !== row) return false
      clear(slot)
      return true
    },
  }
}

function readHigh(key: Uint8Array): number {
  return ((key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!) >>> 0
}

function readLow(key: Uint8Array): number {
  return ((key[4]! << 24) | (key[5]! << 16) | (key[6]! << 8) | key[7]!) >>> 0
}
