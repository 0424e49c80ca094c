/** Leases of this replica, in the rows of its batches. */
import { packHistory } from '../core/history.ts'
import { uniqueQueues, type BatchRow, type QueueRow } from '../core/rows.ts'
import { insert, query } from '../core/sql.ts'
import { MAY_ACKNOWLEDGE, type Leases, type Transaction } from '../core/transaction.ts'

/** `leaseNumber` names the transaction; see `writer.ts`. */
export function createLeases(
  { ownerIds, tellQueues }: Pick<Transaction, 'ownerIds' | 'tellQueues'>,
  ownerId: number,
  leaseNumber: number,
): Leases {
  const LEASED = { owner_id: ownerId, lease_number: leaseNumber }
  const WAITING = { owner_id: null, lease_number: null }
  return {
    isHeld: () => false,
    end() {},
    *insert(rows, state) {
      const lease = state === 'leased' ? LEASED : WAITING
      yield* insert(
        'batches',
        rows.map((row) => ({ ...row, ...lease })),
      )
    },
    *take(batchIds) {
      if (batchIds.length === 0) return []
      return yield* query<BatchRow>(
        'UPDATE batches SET owner_id = $1, lease_number = $2 WHERE batch_id = ANY($3) RETURNING *',
        [ownerId, leaseNumber, batchIds],
      )
    },
    *release(batches) {
      const rows = yield* query<QueueRow>(
        `UPDATE batches SET owner_id = NULL, lease_number = NULL, attempts = new.attempts, history = new.history
         FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS new (batch_id, attempts, history)
         WHERE ${MAY_ACKNOWLEDGE} AND batches.batch_id = new.batch_id RETURNING ad_account_id, is_test`,
        [
          ownerIds,
          batches.map(({ batchId }) => batchId),
          batches.map(({ attempts }) => attempts),
          batches.map(({ history }) => packHistory(history)),
        ],
      )
      yield* tellQueues(uniqueQueues(rows))
    },
    olderThan: (eventTimeS, limit) =>
      query(
        `SELECT batch_id, pending_count FROM batches
         WHERE owner_id IS NULL AND NOT is_test AND oldest_event_time_s < $1
         ORDER BY oldest_event_time_s, batch_id LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [eventTimeS, limit],
      ),
  }
}
