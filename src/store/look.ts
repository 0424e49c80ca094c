/**
 * A look at the store for those who only watch: its size, the books and what waits. One look serves everybody who comes within
 * two seconds: neither a scrape nor an open console must be a load.
 */
import type { Clock } from '../clock.ts'
import type { Books, LaneBacklog, Store, StoreSize } from './store.ts'

export interface StoreLook {
  readonly size: StoreSize
  readonly books: Books
  /** The lane with the oldest event first. */
  readonly backlog: readonly LaneBacklog[]
}

export type LookAtStore = () => Promise<StoreLook>

const KEEP_MS = 2000

export function createStoreLook({
  store,
  clock,
}: {
  readonly store: Store
  readonly clock: Clock
}): LookAtStore {
  let kept: { readonly atMs: number; readonly look: Promise<StoreLook> } | undefined

  async function lookAnew(): Promise<StoreLook> {
    const [size, books, backlog] = await Promise.all([store.size(), store.books({}), store.backlog()])
    return {
      size,
      books,
      backlog: backlog.toSorted((one, other) => one.oldestEventTimeS - other.oldestEventTimeS),
    }
  }

  return () => {
    const nowMs = clock.monotonicMs()
    if (kept === undefined || nowMs - kept.atMs > KEEP_MS) kept = { atMs: nowMs, look: lookAnew() }
    return kept.look
  }
}
