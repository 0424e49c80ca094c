/**
 * Which batches are leased, in memory only: with SQLite a lease ends with the process that holds it, and by no clock. Only
 * leased batches are listed, so a long queue costs nothing here.
 */
import { type BatchRow, packHistory } from '../core/rows.ts'
import { insert, query } from '../core/sql.ts'
import type { Leases } from '../core/transaction.ts'

/** `undo`: what a rollback has to do, the last first. */
export function createLeases(undo: (() => void)[]): Leases {
  const held = new Set<number>()

  function set(batchId: number, isHeld: boolean): void {
    if (isHeld) held.add(batchId)
    else held.delete(batchId)
  }

  function change(batchId: number, isHeld: boolean): void {
    const wasHeld = held.has(batchId)
    if (wasHeld === isHeld) return
    undo.push(() => set(batchId, wasHeld))
    set(batchId, isHeld)
  }

  return {
    isHeld: (batchId) => held.has(batchId),
    *insert(rows, state) {
      yield* insert('batches', rows)
      if (state === 'leased') for (const row of rows) change(row.batch_id, true)
    },
    *take(batchIds) {
      for (const batchId of batchIds) change(batchId, true)
      if (batchIds.length === 0) return []
      return yield* query<BatchRow>('SELECT * FROM batches WHERE batch_id = ANY($1)', [batchIds])
    },
    *release(batches) {
      for (const { batchId, attempts, history } of batches) {
        // A full prefetch releases batches that were not tried: then there is nothing to write.
        yield* query(
          `UPDATE batches SET attempts = $2, history = $3
           WHERE batch_id = $1 AND (attempts <> $2 OR history IS NOT $3)`,
          [batchId, attempts, packHistory(history)],
        )
        change(batchId, false)
      }
    },
    end(batchIds) {
      for (const batchId of batchIds) change(batchId, false)
    },
    *olderThan(eventTimeS, limit) {
      // Queue by queue: an index of all by age would cost each commit.
      const rows = yield* query<Pick<BatchRow, 'batch_id' | 'pending_count'>>(
        `SELECT batch_id, pending_count FROM totals CROSS JOIN batches USING (ad_account_id, is_test)
         WHERE totals.batches > 0 AND is_test = 0 AND is_replay IN (0, 1) AND batches.owner_id IS NULL
           AND oldest_event_time_s < $1 LIMIT $2`,
        [eventTimeS, limit + held.size],
      )
      return rows.filter((row) => !held.has(row.batch_id)).slice(0, limit)
    },
  }
}
