/**
 * Who holds which batch, in memory only: with SQLite a lease ends with the process that holds it, and by no clock. Only
 * leased batches are listed, so a long queue costs nothing here. Changes can be undone until they are kept, to follow
 * the transaction.
 */

/** Where a batch's row is in the queue. */
export interface Place {
  readonly queueId: number
  readonly isReplay: boolean
  readonly oldestEventTimeS: number
}

export interface Lease extends Place {
  /** As the store has them. */
  readonly attempts: number
  readonly history: string | null
  /** Known without a look at the row: from its commit until some of its events are acknowledged. */
  readonly whole?: { readonly pendingCount: number; readonly sizeBytes: number }
}

export interface Leases {
  get(batchId: number): Lease | undefined
  isHeld(batchId: number): boolean
  take(batchId: number, lease: Lease): void
  end(batchId: number): void
  /** Some of its events were acknowledged: from now on only the row knows how many are pending. */
  forgetPending(batchId: number): void
  /** A point to return to. */
  mark(): number
  undoTo(mark: number): void
  keep(): void
}

export function createLeases(): Leases {
  const leases = new Map<number, Lease>()
  const journal: { readonly batchId: number; readonly before: Lease | undefined }[] = []

  function set(batchId: number, lease: Lease | undefined): void {
    journal.push({ batchId, before: leases.get(batchId) })
    put(batchId, lease)
  }

  function put(batchId: number, lease: Lease | undefined): void {
    if (lease === undefined) leases.delete(batchId)
    else leases.set(batchId, lease)
  }

  return {
    get: (batchId) => leases.get(batchId),
    isHeld: (batchId) => leases.has(batchId),
    take: set,
    end: (batchId) => set(batchId, undefined),
    forgetPending(batchId) {
      const lease = leases.get(batchId)
      if (lease?.whole === undefined) return
      const { whole: _, ...rest } = lease
      set(batchId, rest)
    },
    mark: () => journal.length,
    undoTo(mark) {
      while (journal.length > mark) {
        const { batchId, before } = journal.pop()!
        put(batchId, before)
      }
    },
    keep() {
      journal.length = 0
    },
  }
}
