/**
 * Who holds which parcel, in memory only: with SQLite a lease ends with the process that holds it, and by no clock. Only
 * leased parcels are listed, so a long queue costs nothing here. Changes can be undone until they are kept, to follow
 * the transaction.
 */

/** Where a parcel's row is in the queue. */
export interface Place {
  readonly laneId: number
  readonly isReplay: boolean
  readonly oldestEventTimeS: number
}

export interface Lease extends Place {
  /** As the store has them. */
  readonly attempts: number
  readonly history: string | null
  /** Known without a look at the row: from its commit until some of its events are settled. */
  readonly whole?: { readonly pendingCount: number; readonly sizeBytes: number }
}

export interface Leases {
  get(parcelId: number): Lease | undefined
  isHeld(parcelId: number): boolean
  take(parcelId: number, lease: Lease): void
  end(parcelId: number): void
  /** Some of its events were settled: from now on only the row knows how many are pending. */
  forgetPending(parcelId: number): void
  /** A point to return to. */
  mark(): number
  undoTo(mark: number): void
  keep(): void
}

export function createLeases(): Leases {
  const leases = new Map<number, Lease>()
  const journal: { readonly parcelId: number; readonly before: Lease | undefined }[] = []

  function set(parcelId: number, lease: Lease | undefined): void {
    journal.push({ parcelId, before: leases.get(parcelId) })
    put(parcelId, lease)
  }

  function put(parcelId: number, lease: Lease | undefined): void {
    if (lease === undefined) leases.delete(parcelId)
    else leases.set(parcelId, lease)
  }

  return {
    get: (parcelId) => leases.get(parcelId),
    isHeld: (parcelId) => leases.has(parcelId),
    take: set,
    end: (parcelId) => set(parcelId, undefined),
    forgetPending(parcelId) {
      const lease = leases.get(parcelId)
      if (lease?.whole === undefined) return
      const { whole: _, ...rest } = lease
      set(parcelId, rest)
    },
    mark: () => journal.length,
    undoTo(mark) {
      while (journal.length > mark) {
        const { parcelId, before } = journal.pop()!
        put(parcelId, before)
      }
    },
    keep() {
      journal.length = 0
    },
  }
}
