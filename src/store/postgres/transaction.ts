/** What the operations of one transaction share (core/transaction.ts), as PostgreSQL does it. */
import { packHistory, uniqueQueues, type BatchRow, type QueueRow } from '../core/rows.ts'
import { insert, query, type Steps } from '../core/sql.ts'
import { MAY_ACKNOWLEDGE, type Leases, type Transaction } from '../core/transaction.ts'
import { createTotalCounts } from '../core/totals.ts'
import { DEAD_LETTER_PART } from '../core/capacity.ts'
import { countTrail, TRAIL_PART } from '../core/trail.ts'
import type { SharedChange } from '../shared.ts'
import type { Owner } from './owner.ts'

/** `commitNumber` names it; see `writer.ts`. */
export function createTransaction(
  parts: Pick<Transaction, 'sealer' | 'trail' | 'dedupe' | 'report' | 'nextBatchId'> & {
    readonly limitBytes: number
  },
  owner: Pick<Owner, 'id' | 'ids'>,
  commitNumber: number,
): Transaction {
  const { limitBytes, trail } = parts
  const totals = createTotalCounts()
  return {
    ...parts,
    totals,
    limits: { deadLetterBytes: DEAD_LETTER_PART * limitBytes, trailBytes: TRAIL_PART * limitBytes },
    ownerIds: owner.ids,
    leases: createLeases(owner, commitNumber),
    *tryLock(lock) {
      const [row] = yield* query<{ is_mine: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS is_mine', [
        lock,
      ])
      return row!.is_mine
    },
    inVault: (steps) => steps,
    *closeTrail() {
      const rows = trail.rows()
      yield* insert('trail', rows)
      countTrail(totals, rows)
      trail.open()
    },
    *keyIdsInUse() {
      const rows = yield* query<{ key_id: string }>('SELECT key_id FROM owners WHERE dead_at IS NULL')
      return rows.map((row) => row.key_id)
    },
  }
}

/** Leases of this replica, in the rows of its batches. */
function createLeases(owner: Pick<Owner, 'id' | 'ids'>, leaseNumber: number): Leases {
  const LEASED = { owner_id: owner.id, lease_number: leaseNumber }
  const WAITING = { owner_id: null, lease_number: null }
  return {
    isHeld: () => false,
    end() {},
    *insert(rows, state) {
      const isLeased = state === 'leased'
      const all = rows.map((row) => ({ ...row, ...(isLeased ? LEASED : WAITING) }))
      yield* insert('batches', all)
      if (!isLeased) yield* publish(owner.id, { kind: 'queues', queues: uniqueQueues(rows) })
    },
    *take(batchIds) {
      if (batchIds.length === 0) return []
      return yield* query<BatchRow>(
        'UPDATE batches SET owner_id = $1, lease_number = $2 WHERE batch_id = ANY($3) RETURNING *',
        [owner.id, leaseNumber, batchIds],
      )
    },
    *release(batches) {
      const rows = yield* query<QueueRow>(
        `UPDATE batches SET owner_id = NULL, lease_number = NULL, attempts = new.attempts, history = new.history
         FROM unnest($2::bigint[], $3::integer[], $4::text[]) AS new (batch_id, attempts, history)
         WHERE ${MAY_ACKNOWLEDGE} AND batches.batch_id = ANY($2) AND batches.batch_id = new.batch_id
         RETURNING ad_account_id, is_test`,
        [
          owner.ids,
          batches.map(({ batchId }) => batchId),
          batches.map(({ attempts }) => attempts),
          batches.map(({ history }) => packHistory(history)),
        ],
      )
      yield* publish(owner.id, { kind: 'queues', queues: uniqueQueues(rows) })
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

/**
 * Notes a change for other replicas, in the transaction that makes it: both are committed, or neither. `ownerId`: the
 * replica that knows already; null: none does.
 */
export function* publish(ownerId: number | null, change: SharedChange): Steps<void> {
  if (change.kind === 'queues' && change.queues.length === 0) return
  yield* query('INSERT INTO feed (owner_id, change) VALUES ($1, $2)', [ownerId, JSON.stringify(change)])
}
