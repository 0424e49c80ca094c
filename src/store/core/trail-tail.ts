/** What of the trail this process added to last, for those who follow it by polling. */
import type { TrailChanges, TrailEvent } from '../trail.ts'
import { postsInTurns } from './trail-posts.ts'
import type { TrailRow } from './trail-search.ts'

/** What is added beyond this between two polls is left out: nobody reads so fast. Most posts are added to twice. */
const KEPT_BATCHES = 500
const KEPT_ADDITIONS = 2 * KEPT_BATCHES
/** The latest ones, and those of one post in any case. */
const MOST_EVENTS = 1000

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

export interface FreshRows extends ReturnType<TrailTail['since']> {
  /** Of the buckets of these batches. */
  readonly rows: readonly TrailRow[]
}

/** The events of these batches, in their order. */
export async function showChanges({ batchIds, position, rows }: FreshRows): Promise<TrailChanges> {
  const found = [...(await postsInTurns(rows)).values()].flat()
  const posts = Map.groupBy(found, ({ batchId }) => batchId)
  const events: TrailEvent[][] = []
  let count = 0
  for (const batchId of batchIds.toReversed()) {
    for (const post of posts.get(batchId) ?? []) {
      count += post.eventCount
      if (count > MOST_EVENTS && events.length > 0) break
      events.push(post.events({}))
    }
  }
  return { position, events: events.toReversed().flat() }
}
