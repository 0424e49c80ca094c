/** What of the trail this process added to last, for those who follow it by polling. */

/** What is added beyond this between two polls is left out: nobody reads so fast. Most posts are added to twice. */
const KEPT_BATCHES = 500
const KEPT_ADDITIONS = 2 * KEPT_BATCHES

export type TrailTail = ReturnType<typeof createTrailTail>

export function createTrailTail() {
  /** Of the last transactions, whose positions follow on one another. Noting must be cheap, since nobody may ever ask. */
  const last: number[][] = []
  let kept = 0
  let position = 0
  return {
    note(batchIds: ReadonlySet<number>): void {
      if (batchIds.size === 0) return
      position += 1
      last.push([...batchIds])
      kept += batchIds.size
      while (kept - last[0]!.length >= KEPT_ADDITIONS) kept -= last.shift()!.length
    },
    /** Each batch once, and where the next poll begins. */
    since(from = position) {
      const fresh = from >= position ? [] : last.slice(from - position).flat()
      // A batch that was added to again is where it was added to last.
      const batchIds = [...new Set(fresh.toReversed())].toReversed()
      return { batchIds: batchIds.slice(-KEPT_BATCHES), position }
    },
  }
}
