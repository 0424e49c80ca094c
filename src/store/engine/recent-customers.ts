/**
 * Detects one event id with different customers: a page cache that kept the id makes duplicates of purchases, and
 * their sender sees nothing but "duplicate". Only the relay can notice: to Pinterest these are one event.
 *
 * A table of one MiB: for each of the last events, some 100,000, 32 bits of its id and 30 of its customer. A newer event takes
 * the place of an older one with the same hash, so a repeat may go unnoticed, but false warnings are one in a
 * billion. In the memory of this process: a hint to the sender, not a record.
 */
import type { Customer, ValidEvent } from '../../events/prepare.ts'

type Taken = Pick<ValidEvent, 'eventName' | 'eventId' | 'customer'>

const PLACES = 2 ** 17
const KINDS: readonly Customer['kind'][] = ['em', 'external_id', 'ph']

export type RecentCustomers = ReturnType<typeof createRecentCustomers>

export function createRecentCustomers() {
  /** Pairs: hash of the id, fingerprint of the customer. */
  const table = new Uint32Array(2 * PLACES)
  return {
    /** The event was taken as the first one of its id. */
    note(adAccountId: string, { eventName, eventId, customer }: Taken): void {
      const { place, check } = hash(adAccountId, eventName, eventId)
      table[2 * place] = check
      table[2 * place + 1] = fingerprint(customer)
    },
    /** Whether the first one of its id was another customer's, as far as both are known by the same kind of identifier. */
    isOfAnother(adAccountId: string, { eventName, eventId, customer }: Taken): boolean {
      const { place, check } = hash(adAccountId, eventName, eventId)
      if (table[2 * place] !== check) return false
      const [first, mine] = [table[2 * place + 1]!, fingerprint(customer)]
      return first !== 0 && mine !== 0 && first % 4 === mine % 4 && first !== mine
    },
  }
}

/** 0 for nobody; the last two bits are the kind. */
function fingerprint(customer: Customer | undefined): number {
  if (customer === undefined) return 0
  return (Number.parseInt(customer.hash.slice(0, 7), 16) * 4 + KINDS.indexOf(customer.kind) + 1) >>> 0
}

/** FNV-1a, twice with different beginnings: fast; a collision that is made on purpose gains nothing. */
function hash(...texts: readonly string[]): { place: number; check: number } {
  let one = 0x811c9dc5
  let other = 0x9747b28c
  for (const text of texts) {
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      one = Math.imul(one ^ code, 0x01000193)
      other = Math.imul(other ^ code, 0x5bd1e995)
    }
    one = Math.imul(one ^ 0xffff, 0x01000193)
    other = Math.imul(other ^ 0xffff, 0x5bd1e995)
  }
  return { place: (one >>> 0) % PLACES, check: other >>> 0 }
}
