/**
 * A consistent read of the store's size, totals and backlog for metrics and the console. One read serves two seconds, so that
 * scrapes and open consoles cause no load; a store that does not answer is not waited for.
 */
import { orAfter, type Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import type { Metrics } from '../telemetry/metrics.ts'
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
const PATIENCE_MS = 5000

export function createSnapshots(store: FrontStore, clock: Clock): TakeSnapshot {
  let kept: { readonly atMs: number; readonly snapshot: Promise<StoreSnapshot> } | undefined

  async function takeAnew(): Promise<StoreSnapshot> {
    let snapshot: StoreSnapshot | undefined
    const reading = Promise.all([store.size(), store.totals({}), store.backlog()])
    const taken = reading.then(([size, totals, backlog]) => {
      const inOrder = backlog.toSorted((one, other) => one.oldestEventTimeS - other.oldestEventTimeS)
      snapshot = { size, totals, backlog: inOrder }
    })
    await orAfter(clock, PATIENCE_MS, taken)
    if (snapshot === undefined) throw new StoreUnavailable()
    return snapshot
  }

  return () => {
    const nowMs = clock.monotonicMs()
    if (kept === undefined || nowMs - kept.atMs > KEEP_MS) kept = { atMs: nowMs, snapshot: takeAnew() }
    return kept.snapshot
  }
}

/** Test events may have any age: the oldest one is of a live queue. */
export function waitingOf({ totals, backlog }: StoreSnapshot, clock: Pick<Clock, 'wallMs'>): Waiting {
  const oldest = backlog.find(({ isTest }) => !isTest)
  return {
    queued: totals.queued,
    oldestAgeSeconds: oldest && Math.max(0, clock.wallMs() / 1000 - oldest.oldestEventTimeS),
  }
}

/** The store's size, the totals and the backlog: collected at scrape time. */
export function reportStore(metrics: Metrics, takeSnapshot: TakeSnapshot): void {
  const ofSize = (name: keyof StoreSize) => async () => Number((await takeSnapshot()).size[name])
  metrics.collect('storeUsedBytes', ofSize('usedBytes'))
  metrics.collect('diskFreeBytes', ofSize('diskFreeBytes'))
  metrics.collect('storeFull', ofSize('isFull'))
  metrics.collect('eventsQueued', async () => (await takeSnapshot()).totals.queued)
  metrics.collect('totals', async () =>
    Object.entries((await takeSnapshot()).totals).map(([entry, value]) => [{ entry }, value]),
  )
  // The oldest first: alerts need these, and the number of series is limited.
  const ofQueues = (name: 'events' | 'oldestEventTimeS') => async () =>
    (await takeSnapshot()).backlog.map((queue) => [labelsOf(queue), queue[name]] as const)
  metrics.collect('queueEvents', ofQueues('events'))
  metrics.collect('queueOldestEventTimestamp', ofQueues('oldestEventTimeS'))
}

function labelsOf({ adAccountId, isTest }: QueueBacklog) {
  return { ad_account_id: adAccountId, queue: isTest ? 'test' : 'live' }
}
