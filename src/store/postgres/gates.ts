/** Gates that one replica closed, for the others; how long is counted by the database's clock. */
import { StoreUnavailable } from '../../errors.ts'
import type { Shared, SharedGate } from '../shared.ts'
import { inTransaction, isPlaceAtFault, type Pool } from './connect.ts'
import { tellFeed } from './feed-rows.ts'
import { toLane, type LaneRow } from './lane-rows.ts'
import type { Owner } from './owner.ts'

export interface Gates {
  readonly put: Shared['putGate']
  readonly all: Shared['gates']
}

interface GateRow extends LaneRow {
  readonly status: SharedGate['status']
  readonly reason: string
  readonly for_ms: number | null
}

export function createGates(pool: Pool, owner: Owner): Gates {
  return {
    async put(lane, gate) {
      const { adAccountId, isTest } = lane
      const { status, reason, forMs } = gate
      try {
        await inTransaction(pool, async (client) => {
          await client.query(
            `INSERT INTO gates (ad_account_id, is_test, status, reason, until)
             VALUES ($1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 millisecond')
             ON CONFLICT (ad_account_id, is_test)
               DO UPDATE SET status = excluded.status, reason = excluded.reason, until = excluded.until`,
            [adAccountId, isTest, status, reason, forMs ?? null],
          )
          await tellFeed(client, owner.id, { kind: 'gate', lane: { adAccountId, isTest }, gate })
        })
      } catch (error) {
        throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
      }
    },
    async all() {
      try {
        const { rows } = await pool.query<GateRow>(
          `SELECT ad_account_id, is_test, status, reason,
             ceil(extract(epoch FROM until - clock_timestamp()) * 1000)::bigint AS for_ms
           FROM gates WHERE status = 'closed' AND (until IS NULL OR until > clock_timestamp())`,
        )
        return rows.map((row) => ({
          lane: toLane(row),
          gate: { status: row.status, reason: row.reason, forMs: row.for_ms ?? undefined },
        }))
      } catch (error) {
        throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
      }
    },
  }
}
