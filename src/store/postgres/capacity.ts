/** Refuses commits for which the store has no room. */
import { createCapacity } from '../core/capacity.ts'
import type { Pool } from './connect.ts'

/** The queued bytes are counted again after so long. */
const STALE_MS = 1000

/**
 * Counts the queued payloads of all replicas, not the size of the tables: PostgreSQL reuses the space of deleted rows
 * but rarely returns it. A transaction in progress is missed until the next count: it is small beside the room that is
 * left. What is admitted during a count, which a busy server may take seconds for, stays counted apart until the next one.
 * How much of the room an account may take: core/capacity.ts.
 */
export function createCapacityCheck(pool: Pick<Pool, 'query'>, limitBytes: number) {
  let countedAtMs = -Infinity
  let counting: Promise<void> | undefined
  let queuedBytes = 0
  /** Queued bytes of each account that has some. */
  let queuedOf = new Map<string, number>()
  /** By account, since the last count began. */
  let admitted = new Map<string, number>()
  const capacity = createCapacity((part) => part * limitBytes - queuedBytes)

  async function countNow(): Promise<void> {
    admitted = new Map()
    const { rows } = await pool.query<{ ad_account_id: string; bytes: number }>(
      `SELECT ad_account_id, SUM(bytes)::bigint AS bytes FROM totals
       GROUP BY ad_account_id HAVING SUM(bytes) > 0`,
    )
    queuedOf = new Map(rows.map((row) => [row.ad_account_id, row.bytes]))
    for (const [adAccountId, bytes] of admitted) add(queuedOf, adAccountId, bytes)
    queuedBytes = [...queuedOf.values()].reduce((sum, bytes) => sum + bytes, 0)
    capacity.refresh()
    countedAtMs = performance.now()
  }

  /** One at a time. */
  const count = () => (counting ??= countNow().finally(() => (counting = undefined)))

  return {
    /** By the last count and what was admitted since, so that no post waits for a query. */
    admits(adAccountId: string, bytes: number): boolean {
      // While the database is away the commit itself fails.
      if (limitBytes !== Infinity && performance.now() - countedAtMs >= STALE_MS)
        count().catch(() => undefined)
      const ownBytes = queuedOf.get(adAccountId) ?? 0
      if (!capacity.admits(bytes, ownBytes)) return false
      for (const sums of [queuedOf, admitted]) add(sums, adAccountId, bytes)
      return true
    },
    async state() {
      await count()
      const over = [...queuedOf].filter(([, bytes]) => bytes > capacity.share())
      return { isFull: capacity.isFull, overShare: over.map(([adAccountId]) => adAccountId) }
    },
  }
}

function add(sums: Map<string, number>, adAccountId: string, bytes: number): void {
  sums.set(adAccountId, (sums.get(adAccountId) ?? 0) + bytes)
}
