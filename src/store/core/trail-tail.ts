/** What of the trail this process added to last, for those who follow it. It is asked for now and then, so nobody is told. */
import type { TrailChanges } from '../trail.ts'
import { eventsByBucket, type TrailRow } from './trail-search.ts'

/** What more is added between two questions is left out: nobody reads so fast. */
const KEPT_BATCHES = 500

export interface TrailTail {
  note(batchIds: ReadonlySet<number>): void
  /** Each batch once, and where the next question begins. */
  since(position: number | undefined): { readonly batchIds: readonly number[]; readonly position: number }
}

export function createTrailTail(): TrailTail {
  /** By its batch; a batch that was added to again moves to the end. */
  const last = new Map<number, number>()
  let position = 0
  return {
    note(batchIds) {
      position += 1
      for (const batchId of batchIds) {
        last.delete(batchId)
        last.set(batchId, position)
        if (last.size > KEPT_BATCHES) last.delete(last.keys().next().value!)
      }
    },
    since(from = position) {
      const fresh = [...last].filter(([, at]) => at > from)
      return { batchIds: fresh.map(([batchId]) => batchId), position }
    },
  }
}

/** The events of these batches, in their order. */
export function showChanges(
  { batchIds, position }: ReturnType<TrailTail['since']>,
  rows: readonly TrailRow[],
): TrailChanges {
  const events = [...eventsByBucket(rows).values()].flat()
  return { position, events: batchIds.flatMap((batchId) => events.filter((one) => one.batchId === batchId)) }
}
