/** Circuit breakers that one replica opened, for the others; durations are counted by the database's clock. */
import type { Shared, SharedBreaker } from '../shared.ts'
import { inTransaction, orUnavailable, type Pool } from './connect.ts'
import { tellFeed } from './transaction.ts'
import { toQueue, type QueueRow } from '../core/rows.ts'
import type { Owner } from './owner.ts'

export interface Breakers {
  readonly put: Shared['putBreaker']
  readonly all: Shared['breakers']
}

interface BreakerRow extends QueueRow {
  readonly status: SharedBreaker['status']
  readonly reason: string
  readonly for_ms: number | null
}

export function createBreakers(pool: Pool, owner: Owner): Breakers {
  return {
    put: ({ adAccountId, isTest }, breaker) =>
      orUnavailable(
        inTransaction(pool, async (client) => {
          const { status, reason, forMs } = breaker
          await client.query(
            `INSERT INTO breakers (ad_account_id, is_test, status, reason, until)
             VALUES ($1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 millisecond')
             ON CONFLICT (ad_account_id, is_test)
               DO UPDATE SET status = excluded.status, reason = excluded.reason, until = excluded.until`,
            [adAccountId, isTest, status, reason, forMs ?? null],
          )
          await tellFeed(client, owner.id, { kind: 'breaker', queue: { adAccountId, isTest }, breaker })
        }),
      ),
    async all() {
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
