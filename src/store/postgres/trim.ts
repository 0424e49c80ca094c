/**
 * Deletes dead letters, oldest first: those that are too old, and what passes their part of the store. One replica at a
 * time, or two would both remove for the same bytes.
 */
import { DEAD_LETTER_BYTES_SQL } from '../share.ts'
import type { BoundedTrimRequest } from '../engine/protocol.ts'
import type { TrimStep } from '../store.ts'
import { readBytes } from './totals.ts'
import { toQueue, type QueueRow } from './queue-rows.ts'
import type { Transaction } from './transaction.ts'

/** Any number that nobody else locks: "dead letter" in ASCII. */
export const TRIM_LOCK = 0x6c6574746572

interface RemovedRow extends QueueRow {
  readonly bytes: number
}

const RETURNING = `RETURNING ad_account_id, is_test, ${DEAD_LETTER_BYTES_SQL} AS bytes`

export async function trim(
  tx: Transaction,
  { diedBeforeMs, limit, limitBytes = Infinity }: BoundedTrimRequest,
): Promise<TrimStep> {
  const { client } = tx
  const { rows: locks } = await client.query<{ is_mine: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1) AS is_mine',
    [TRIM_LOCK],
  )
  if (!locks[0]!.is_mine) return { tooOld: 0, overPart: 0 }
  const old = await client.query<RemovedRow>(
    // A subquery may be run once for each row, each time with another LIMIT of rows; what is materialized runs once.
    `WITH old AS MATERIALIZED (
       SELECT id FROM dead_letters WHERE died_at_ms < $1 ORDER BY died_at_ms, id LIMIT $2 FOR UPDATE SKIP LOCKED)
     DELETE FROM dead_letters WHERE id IN (SELECT id FROM old)
     ${RETURNING}`,
    [diedBeforeMs, limit],
  )
  countRemoved(tx, old.rows)
  const left = limit - old.rows.length
  const { deadLetterBytes } = await readBytes(client)
  // Totals are written at the transaction's end.
  const overBytes = deadLetterBytes + tx.totals.sum('dead_bytes') - limitBytes
  if (left === 0 || overBytes <= 0) return { tooOld: old.rows.length, overPart: 0 }
  // Each of which those before it do not make enough room.
  const over = await client.query<RemovedRow>(
    `WITH oldest AS (
       SELECT id, died_at_ms, ${DEAD_LETTER_BYTES_SQL} AS bytes FROM dead_letters ORDER BY died_at_ms, id LIMIT $2
       FOR UPDATE SKIP LOCKED)
     DELETE FROM dead_letters WHERE id IN (
       SELECT id FROM (SELECT id, SUM(bytes) OVER (ORDER BY died_at_ms, id) - bytes AS before FROM oldest) AS summed
       WHERE before < $1)
     ${RETURNING}`,
    [overBytes, left],
  )
  countRemoved(tx, over.rows)
  return { tooOld: old.rows.length, overPart: over.rows.length }
}

function countRemoved({ totals }: Transaction, rows: readonly RemovedRow[]): void {
  for (const row of rows) totals.count(toQueue(row), { dead_bytes: -row.bytes })
}
