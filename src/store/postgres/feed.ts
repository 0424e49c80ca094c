/**
 * What replicas publish to each other: which circuit breakers are open, and what else changed. Each polls the table that changes
 * are written to once a second. LISTEN would need a session of its own, which poolers do not keep.
 *
 * Ids are given before their transaction is committed, so a later one may be seen first: every poll reads all of the last
 * seconds, and remembers what it reported. A standby that is promoted may give an id again, but not at the same time. When polls
 * failed for longer than that, everything is reported as changed.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { StoreOptions } from '../engine/api.ts'
import type { Shared, SharedBreaker, SharedChange } from '../shared.ts'
import { toQueue, type QueueRow } from '../core/rows.ts'
import { readBacklog } from '../core/totals.ts'
import type { Pool } from './connect.ts'
import type { Timing } from './open.ts'
import type { Owner } from './owner.ts'
import { run } from './run.ts'
import { publish } from './transaction.ts'

/** No transaction takes so long: see the time limits of connect.ts. */
const WINDOW_S = 60
const KEPT_S = 180

interface BreakerRow extends QueueRow {
  readonly status: SharedBreaker['status']
  readonly reason: string
  readonly for_ms: number | null
}

export interface FeedOptions extends Pick<Timing, 'feedPollMs'>, Pick<StoreOptions, 'onChange'> {
  readonly pool: Pool
  /** For breakers. */
  readonly vital: Pool
  readonly owner: Owner
}

export function createFeed({ pool, vital, owner, feedPollMs, onChange: report }: FeedOptions) {
  let reported: ReadonlySet<string> = new Set()
  const stop = new AbortController()
  let readAtMs: number | undefined
  let reads = 0

  async function read(): Promise<void> {
    const { rows } = await pool.query<{ name: string; owner_id: number | null; change: string }>(
      `SELECT id || ' ' || extract(epoch FROM at) AS name, owner_id, change FROM feed
       WHERE at > clock_timestamp() - interval '${WINDOW_S} seconds' ORDER BY id`,
    )
    const isFirst = readAtMs === undefined
    const wasAway = readAtMs !== undefined && performance.now() - readAtMs > (WINDOW_S / 2) * 1000
    const fresh = rows.filter(({ name }) => !reported.has(name))
    reported = new Set(rows.map(({ name }) => name))
    if (wasAway) await reportAll()
    // Last: if the above failed, the next poll repeats it.
    readAtMs = performance.now()
    // At the start this process reads everything by other means.
    if (isFirst || wasAway) return
    for (const { owner_id: ownerId, change } of fresh) {
      if (ownerId === null || !owner.ids.includes(ownerId)) report(JSON.parse(change) as SharedChange)
    }
    if (++reads % 60 === 0) {
      await pool.query(`DELETE FROM feed WHERE at < clock_timestamp() - interval '${KEPT_S} seconds'`)
    }
  }

  /** Everything as changed. */
  async function reportAll(): Promise<void> {
    report({ kind: 'vault' })
    report({ kind: 'queues', queues: await run(pool, readBacklog()) })
    for (const open of await breakers()) report({ kind: 'breaker', ...open })
  }

  /** Circuit breakers that any replica opened; durations are by the database's clock. */
  const breakers: Shared['breakers'] = async () => {
    const { rows } = await vital.query<BreakerRow>(
      `SELECT ad_account_id, is_test, status, reason,
         ceil(extract(epoch FROM until - clock_timestamp()) * 1000)::bigint AS for_ms
       FROM breakers WHERE status = 'open' AND (until IS NULL OR until > clock_timestamp())`,
    )
    return rows.map((row) => ({
      queue: toQueue(row),
      breaker: { status: row.status, reason: row.reason, forMs: row.for_ms ?? undefined },
    }))
  }

  const putBreaker: Shared['putBreaker'] = ({ adAccountId, isTest }, breaker) =>
    vital.transact(async (client) => {
      const { status, reason, forMs } = breaker
      await client.query(
        `INSERT INTO breakers (ad_account_id, is_test, status, reason, until)
         VALUES ($1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 millisecond')
         ON CONFLICT (ad_account_id, is_test)
           DO UPDATE SET status = excluded.status, reason = excluded.reason, until = excluded.until`,
        [adAccountId, isTest, status, reason, forMs ?? null],
      )
      await run(client, publish(owner.id, { kind: 'breaker', queue: { adAccountId, isTest }, breaker }))
    })

  async function poll(): Promise<void> {
    while (!stop.signal.aborted) {
      await read().catch(() => undefined)
      await pause(feedPollMs, undefined, { signal: stop.signal, ref: false }).catch(() => undefined)
    }
  }

  const polling = poll()
  return {
    putBreaker,
    breakers,
    close: async () => {
      stop.abort()
      await polling
    },
  }
}
