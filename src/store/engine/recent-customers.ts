/**
 * Detects one event id with different customers: a page cache that kept the id makes duplicates of purchases, and
 * their sender sees nothing but "duplicate". Only the relay can notice: to Pinterest these are one event.
 *
 * A table of one MiB: for each of the last events, some 100,000, 32 bits of its dedupe key and 30 of its customer. A newer event
 * takes the place of an older one, so a repeat may go unnoticed, but false warnings are one in a billion. In the memory
 * of this process: a hint to the sender, not a record.
 */

const PLACES = 2 ** 17

export type RecentCustomers = ReturnType<typeof createRecentCustomers>

export function createRecentCustomers() {
  /** Pairs: a part of the key, and the customer (`ValidEvent.customer`). */
  const table = new Uint32Array(2 * PLACES)
  return {
    /** The event with this dedupe key was taken as the first one of its id. */
    note(key: Uint8Array, customer: number): void {
      const place = placeOf(key)
      table[place] = checkOf(key)
      table[place + 1] = customer
    },
    /** Whether the first one of its id was another customer's, as far as both are known by the same kind of identifier. */
    isOfAnother(key: Uint8Array, customer: number): boolean {
      const place = placeOf(key)
      if (table[place] !== checkOf(key)) return false
      const first = table[place + 1]!
      return first !== 0 && customer !== 0 && first % 4 === customer % 4 && first !== customer
    },
  }
}

/** Of SHA-256: all bytes are equally random. */
function placeOf(key: Uint8Array): number {
  return 2 * (((key[0]! << 16) | (key[1]! << 8) | key[2]!) % PLACES)
}

function checkOf(key: Uint8Array): number {
  return ((key[3]! << 24) | (key[4]! << 16) | (key[5]! << 8) | key[6]!) >>> 0
}
