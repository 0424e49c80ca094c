/** What of the trail this process added to last, for those who follow it. It is asked for now and then, so nobody is told. */
import type { TrailChanges, TrailEvent } from '../trail.ts'
import { postsInTurns } from './trail-posts.ts'
import type { TrailRow } from './trail-search.ts'

/** What more is added between two questions is left out: nobody reads so fast. */
const KEPT_BATCHES = 500
/** The latest ones, and those of one post in any case. */
const MOST_EVENTS = 1000

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
