/**
 * Which batches are leased, in memory only: with SQLite a lease ends with the process that holds it, and by no clock. Only
 * leased batches are listed, so a long queue costs nothing here. It follows the transaction: `keep` or `undo` at its end.
 */
export interface Leases {
  isHeld(batchId: number): boolean
  take(batchId: number): void
  end(batchId: number): void
  undo(): void
  keep(): void
}

export function createLeases(): Leases {
  const held = new Set<number>()
  /** As it was before the transaction, of those that it changed. */
  const before = new Map<number, boolean>()

  function set(batchId: number, isHeld: boolean): void {
    if (isHeld) held.add(batchId)
    else held.delete(batchId)
  }

  function change(batchId: number, isHeld: boolean): void {
    if (!before.has(batchId)) before.set(batchId, held.has(batchId))
    set(batchId, isHeld)
  }

  return {
    isHeld: (batchId) => held.has(batchId),
    take: (batchId) => change(batchId, true),
    end: (batchId) => change(batchId, false),
    undo() {
      for (const [batchId, wasHeld] of before) set(batchId, wasHeld)
      before.clear()
    },
    keep: () => before.clear(),
  }
}
