/**
 * A look at the store for those who only watch: its size, the totals and what waits. One look serves everybody who comes within
 * two seconds: neither a scrape nor an open console must be a load.
 */
import type { Clock } from '../clock.ts'
import type { Waiting } from '../telemetry/recent-statistics.ts'
import type { Totals, QueueBacklog, FrontStore, StoreSize } from './store.ts'

export interface StoreSnapshot {
  readonly size: StoreSize
  readonly totals: Totals
  /** The queue with the oldest event first. */
  readonly backlog: readonly QueueBacklog[]
}

export type TakeSnapshot = () => Promise<StoreSnapshot>

const KEEP_MS = 2000

export function createSnapshots({
  store,
  clock,
}: {
  readonly store: FrontStore
  readonly clock: Clock
}): TakeSnapshot {
  let kept: { readonly atMs: number; readonly snapshot: Promise<StoreSnapshot> } | undefined

  async function takeAnew(): Promise<StoreSnapshot> {
    const [size, totals, backlog] = await Promise.all([store.size(), store.totals({}), store.backlog()])
    return {
      size,
      totals,
      backlog: backlog.toSorted((one, other) => one.oldestEventTimeS - other.oldestEventTimeS),
    }
  }

  return () => {
    const nowMs = clock.monotonicMs()
    if (kept === undefined || nowMs - kept.atMs > KEEP_MS) kept = { atMs: nowMs, snapshot: takeAnew() }
    return kept.snapshot
  }
}

export function waitingOf({ totals, backlog: [oldest] }: StoreSnapshot, clock: Clock): Waiting {
  return {
    queued: totals.queued,
    oldestAgeS: oldest && Math.max(0, clock.wallMs() / 1000 - oldest.oldestEventTimeS),
  }
}
