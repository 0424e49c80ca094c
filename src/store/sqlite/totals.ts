/**
 * The totals of each queue. Counts are gathered while a transaction runs and written once at its end, so that they change
 * together with the rows that they count.
 */
import type { DatabaseSync } from 'node:sqlite'
import { addChanges, COUNTERS, makeCounts, toTotals, type Changes, type Counts } from '../core/counters.ts'
import { nameOfQueue, toQueue, type QueueRow } from '../core/rows.ts'
import type { QueueBacklog, QueueKey, Totals } from '../store.ts'
import { prepare } from './connection.ts'

/** What a batch takes besides its payload: its row, index and seal; the keys of one event. */
export const BATCH_BYTES = 512
export const EVENT_BYTES = 64

export interface TotalCounts {
  count(queue: QueueKey, changes: Changes): void
  /** Writes what was counted; before COMMIT, and before the counters are read. */
  flush(): void
  /** After a rollback. */
  forget(): void
  backlog(): QueueBacklog[]
  /** Those that have live batches. */
  liveQueues(): QueueKey[]
  totals(filter: { readonly adAccountId?: string; readonly isTest?: boolean }): Totals
  /** Over all queues, including what is not written yet. */
  sizes(): Sizes
  /** Approximate bytes of an account's queued batches. Flush first. */
  queuedBytes(adAccountId: string): number
  /** Accounts that have more than this queued. Flush first. */
  accountsAbove(bytes: number): string[]
}

export interface Sizes {
  /** Of payloads that are queued. */
  readonly bytes: number
  readonly deadBytes: number
  readonly trailBytes: number
}

type TotalsRow = QueueRow & Counts

/** Later than every event: a queue has live batches, replays, or both. */
const NEVER_S = Number.MAX_SAFE_INTEGER

export function createTotals(db: DatabaseSync): TotalCounts {
  const write = db.prepare(
    `INSERT INTO totals (ad_account_id, is_test, ${COUNTERS.join(', ')}) VALUES (?, ?${', ?'.repeat(COUNTERS.length)})
     ON CONFLICT DO UPDATE SET ${COUNTERS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`,
  )
  const ofQueue = 'b.ad_account_id = t.ad_account_id AND b.is_test = t.is_test'
  // Each MIN is the first row of its range of the index.
  const oldestOf = (isReplay: 0 | 1) =>
    `COALESCE((SELECT MIN(oldest_event_time_s) FROM batches b WHERE ${ofQueue} AND is_replay = ${isReplay}), ${NEVER_S})`
  const waiting = prepare<TotalsRow & { oldest: number }>(
    db,
    `SELECT *, MIN(${oldestOf(0)}, ${oldestOf(1)}) AS oldest FROM totals t WHERE batches > 0
     ORDER BY ad_account_id, is_test`,
  )
  const waitingLive = prepare<QueueRow>(
    db,
    'SELECT ad_account_id, is_test FROM totals WHERE batches > 0 AND is_test = 0',
  )
  const sums = prepare<Counts>(
    db,
    `SELECT ${COUNTERS.map((name) => `COALESCE(SUM(${name}), 0) AS ${name}`).join(', ')} FROM totals
     WHERE ad_account_id = COALESCE(?, ad_account_id) AND is_test = COALESCE(?, is_test)`,
  )
  const queued = `COALESCE(SUM(bytes + ${BATCH_BYTES} * batches + ${EVENT_BYTES} * queued), 0)`
  const selectQueued = prepare<{ bytes: number }>(
    db,
    `SELECT ${queued} AS bytes FROM totals WHERE ad_account_id = ?`,
  )
  const selectAbove = prepare<QueueRow>(
    db,
    `SELECT ad_account_id FROM totals WHERE batches > 0 GROUP BY ad_account_id HAVING ${queued} > ?`,
  )
  const counted = new Map<
    string,
    { readonly queue: QueueKey; readonly counts: Record<keyof Counts, number> }
  >()
  /** Undefined after a rollback, until somebody asks. */
  let sizes: { bytes: number; deadBytes: number; trailBytes: number } | undefined

  return {
    count(queue, changes) {
      const name = nameOfQueue(queue)
      let entry = counted.get(name)
      if (entry === undefined) counted.set(name, (entry = { queue, counts: makeCounts() }))
      addChanges(entry.counts, changes)
      if (sizes === undefined) return
      sizes.bytes += changes.bytes ?? 0
      sizes.deadBytes += changes.dead_bytes ?? 0
      sizes.trailBytes += changes.trail_bytes ?? 0
    },
    flush() {
      for (const { queue, counts } of counted.values()) {
        write.run(queue.adAccountId, Number(queue.isTest), ...COUNTERS.map((name) => counts[name]))
      }
      counted.clear()
    },
    forget() {
      sizes = undefined
      counted.clear()
    },
    backlog: () =>
      waiting.all().map((row) => ({
        ...toQueue(row),
        batches: row.batches,
        events: row.queued,
        oldestEventTimeS: row.oldest,
      })),
    liveQueues: () => waitingLive.all().map(toQueue),
    totals: ({ adAccountId = null, isTest }) =>
      toTotals(sums.get(adAccountId, isTest === undefined ? null : Number(isTest))!),
    sizes() {
      if (sizes !== undefined) return sizes
      const { bytes, dead_bytes: deadBytes, trail_bytes: trailBytes } = sums.get(null, null)!
      sizes = { bytes, deadBytes, trailBytes }
      for (const { counts } of counted.values()) {
        sizes.bytes += counts.bytes
        sizes.deadBytes += counts.dead_bytes
        sizes.trailBytes += counts.trail_bytes
      }
      return sizes
    },
    queuedBytes: (adAccountId) => selectQueued.get(adAccountId)!.bytes,
    accountsAbove: (bytes) => selectAbove.all(bytes).map((row) => row.ad_account_id),
  }
}
