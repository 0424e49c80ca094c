/**
 * The totals of each queue: one row per queue and owner, so that no two replicas wait for the same row; summed when they are
 * read. Changes are gathered while a transaction runs and written by one statement at its end.
 */
import {
  addChanges,
  COUNTERS,
  makeCounts,
  toTotals,
  type Changes,
  type Counter,
  type Counts,
} from '../core/counters.ts'
import { nameOfQueue, toQueue, type QueueRow } from '../core/rows.ts'
import type { Totals, QueueBacklog, QueueKey } from '../store.ts'
import type { Queryable } from './client.ts'

export interface TotalCounts {
  count(queue: QueueKey, changes: Changes): void
  /** Counted, but not written yet. */
  sum(counter: Counter): number
  write(client: Queryable, ownerId: number): Promise<void>
}

export function createTotalCounts(): TotalCounts {
  const counted = new Map<string, { readonly queue: QueueKey; readonly sum: Record<Counter, number> }>()
  return {
    count(queue, changes) {
      const name = nameOfQueue(queue)
      let entry = counted.get(name)
      if (entry === undefined) counted.set(name, (entry = { queue, sum: makeCounts() }))
      addChanges(entry.sum, changes)
    },
    sum: (counter) => [...counted.values()].reduce((all, { sum }) => all + sum[counter], 0),
    async write(client, ownerId) {
      if (counted.size === 0) return
      const entries = [...counted.values()]
      const values = [
        entries.map(({ queue }) => queue.adAccountId),
        entries.map(({ queue }) => queue.isTest),
        ...COUNTERS.map((name) => entries.map(({ sum }) => sum[name])),
      ]
      await client.query(WRITE, [ownerId, ...values])
    },
  }
}

const WRITE = `INSERT INTO totals (ad_account_id, is_test, ${COUNTERS.join(', ')}, owner_id)
  SELECT *, $1 FROM unnest($2::text[], $3::boolean[], ${COUNTERS.map((_, index) => `$${index + 4}::bigint[]`).join(', ')})
  ON CONFLICT (ad_account_id, is_test, owner_id) DO UPDATE SET
    ${COUNTERS.map((name) => `${name} = totals.${name} + excluded.${name}`).join(', ')}`

export async function readTotals(
  client: Queryable,
  { adAccountId, isTest }: { readonly adAccountId?: string; readonly isTest?: boolean },
): Promise<Totals> {
  const { rows } = await client.query<Counts>(
    `SELECT ${COUNTERS.map((name) => `COALESCE(SUM(${name}), 0)::bigint AS ${name}`).join(', ')} FROM totals
     WHERE ($1::text IS NULL OR ad_account_id = $1) AND ($2::boolean IS NULL OR is_test = $2)`,
    [adAccountId ?? null, isTest ?? null],
  )
  return toTotals(rows[0]!)
}

/** The oldest of a queue is the first row of the waiting index, or a leased one. */
export async function readBacklog(client: Queryable): Promise<QueueBacklog[]> {
  const { rows } = await client.query<QueueRow & { batches: number; queued: number; oldest: number | null }>(
    `WITH queues AS (
       SELECT ad_account_id, is_test, SUM(batches)::bigint AS batches, SUM(queued)::bigint AS queued FROM totals
       GROUP BY ad_account_id, is_test HAVING SUM(batches) > 0),
     leased AS (
       SELECT ad_account_id, is_test, MIN(oldest_event_time_s) AS oldest FROM batches WHERE owner_id IS NOT NULL
       GROUP BY ad_account_id, is_test)
     SELECT queues.*, LEAST(leased.oldest,
       (SELECT oldest_event_time_s FROM batches p WHERE owner_id IS NULL AND p.ad_account_id = queues.ad_account_id
          AND p.is_test = queues.is_test AND NOT is_replay ORDER BY oldest_event_time_s LIMIT 1),
       (SELECT oldest_event_time_s FROM batches p WHERE owner_id IS NULL AND p.ad_account_id = queues.ad_account_id
          AND p.is_test = queues.is_test AND is_replay ORDER BY oldest_event_time_s LIMIT 1)) AS oldest
     FROM queues LEFT JOIN leased USING (ad_account_id, is_test)
     ORDER BY ad_account_id COLLATE "C", is_test`,
  )
  return rows.map((row) => ({
    ...toQueue(row),
    batches: row.batches,
    events: row.queued,
    oldestEventTimeS: row.oldest ?? 0,
  }))
}

export interface StoredBytes {
  /** Of payloads that are queued. */
  readonly queuedBytes: number
  readonly deadLetterBytes: number
  readonly trailBytes: number
}

export async function readBytes(client: Queryable): Promise<StoredBytes> {
  const { rows } = await client.query<{ queued: number; dead: number; trail: number }>(
    `SELECT COALESCE(SUM(bytes), 0)::bigint AS queued, COALESCE(SUM(dead_bytes), 0)::bigint AS dead,
       COALESCE(SUM(trail_bytes), 0)::bigint AS trail FROM totals`,
  )
  const { queued, dead, trail } = rows[0]!
  return { queuedBytes: queued, deadLetterBytes: dead, trailBytes: trail }
}

/** Queued payloads, of each account that has some. */
export async function readQueuedBytes(client: Queryable): Promise<Map<string, number>> {
  const { rows } = await client.query<{ ad_account_id: string; bytes: number }>(
    `SELECT ad_account_id, SUM(bytes)::bigint AS bytes FROM totals
     GROUP BY ad_account_id HAVING SUM(bytes) > 0`,
  )
  return new Map(rows.map((row) => [row.ad_account_id, row.bytes]))
}
