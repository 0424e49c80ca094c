/**
 * What replicas tell each other: which circuit breakers are open, and what else changed. Each polls the table that changes
 * are written to once a second. LISTEN would need a session of its own, which poolers do not keep.
 *
 * Ids are given before their transaction is committed, so a later one may be seen first: every poll reads all of the last
 * seconds, and remembers what it reported. When polls failed for longer than that, everything is reported as changed.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Shared, SharedBreaker, SharedChange } from '../shared.ts'
import { toQueue, type QueueRow } from '../core/rows.ts'
import type { Pool } from './connect.ts'
import { orUnavailable } from './failures.ts'
import type { Owner } from './owner.ts'
import { run } from './run.ts'
import { tell } from './transaction.ts'

type Breakers = Pick<Shared, 'putBreaker' | 'breakers'>

export interface Feed extends Breakers, Pick<Shared, 'onChange'> {
  readonly close: () => Promise<void>
}

/** No transaction takes so long: see the time limits of connect.ts. */
const WINDOW_S = 60
const KEPT_S = 180

/** `vital`: for breakers. */
export function createFeed(pool: Pool, vital: Pool, owner: Owner, pollMs: number): Feed {
  const breakers = createBreakers(vital, owner)
  const listeners: ((change: SharedChange) => void)[] = []
  const told = new Set<number>()
  const stop = new AbortController()
  let lookedAtMs: number | undefined
  let looks = 0

  const tell = (change: SharedChange) => listeners.forEach((listener) => listener(change))

  async function look(): Promise<void> {
    const { rows } = await pool.query<{ id: number; owner_id: number | null; change: string }>(
      `SELECT id, owner_id, change FROM feed WHERE at > clock_timestamp() - interval '${WINDOW_S} seconds' ORDER BY id`,
    )
    const isFirst = lookedAtMs === undefined
    const wasAway = lookedAtMs !== undefined && performance.now() - lookedAtMs > (WINDOW_S / 2) * 1000
    const present = new Set(rows.map(({ id }) => id))
    for (const id of told) if (!present.has(id)) told.delete(id)
    const fresh = rows.filter(({ id }) => !told.has(id))
    for (const { id } of fresh) told.add(id)
    // At the start this process reads everything by other means.
    if (!isFirst && wasAway) await tellAll(pool, breakers, tell)
    // Last: if the above failed, the next look repeats it.
    lookedAtMs = performance.now()
    if (isFirst || wasAway) return
    for (const { owner_id: ownerId, change } of fresh) {
      if (ownerId === null || !owner.ids.includes(ownerId)) tell(JSON.parse(change) as SharedChange)
    }
    if (++looks % 60 === 0) {
      await pool.query(`DELETE FROM feed WHERE at < clock_timestamp() - interval '${KEPT_S} seconds'`)
    }
  }

  async function poll(): Promise<void> {
    while (!stop.signal.aborted) {
      await look().catch(() => undefined)
      await pause(pollMs, undefined, { signal: stop.signal, ref: false }).catch(() => undefined)
    }
  }

  owner.onLost(() => tell({ kind: 'leases_lost' }))
  const running = poll()
  return {
    ...breakers,
    onChange: (listener) => void listeners.push(listener),
    async close() {
      stop.abort()
      await running
    },
  }
}

/** Reports everything as changed. */
async function tellAll(pool: Pool, breakers: Breakers, tell: (change: SharedChange) => void): Promise<void> {
  tell({ kind: 'vault' })
  const { rows } = await pool.query<QueueRow>(
    'SELECT ad_account_id, is_test FROM totals GROUP BY ad_account_id, is_test HAVING SUM(batches) > 0',
  )
  tell({ kind: 'queues', queues: rows.map(toQueue) })
  for (const { queue, breaker } of await breakers.breakers()) tell({ kind: 'breaker', queue, breaker })
}

interface BreakerRow extends QueueRow {
  readonly status: SharedBreaker['status']
  readonly reason: string
  readonly for_ms: number | null
}

/** Circuit breakers that any replica opened; durations are by the database's clock. */
function createBreakers(pool: Pool, owner: Owner): Breakers {
  return {
    putBreaker: ({ adAccountId, isTest }, breaker) =>
      orUnavailable(
        pool.transact(async (client) => {
          const { status, reason, forMs } = breaker
          await client.query(
            `INSERT INTO breakers (ad_account_id, is_test, status, reason, until)
             VALUES ($1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 millisecond')
             ON CONFLICT (ad_account_id, is_test)
               DO UPDATE SET status = excluded.status, reason = excluded.reason, until = excluded.until`,
            [adAccountId, isTest, status, reason, forMs ?? null],
          )
          await run(client, tell(owner.id, { kind: 'breaker', queue: { adAccountId, isTest }, breaker }))
        }),
      ),
    async breakers() {
      const open = pool.query<BreakerRow>(
        `SELECT ad_account_id, is_test, status, reason,
           ceil(extract(epoch FROM until - clock_timestamp()) * 1000)::bigint AS for_ms
         FROM breakers WHERE status = 'open' AND (until IS NULL OR until > clock_timestamp())`,
      )
      const { rows } = await orUnavailable(open)
      return rows.map((row) => ({
        queue: toQueue(row),
        breaker: { status: row.status, reason: row.reason, forMs: row.for_ms ?? undefined },
      }))
    },
  }
}
