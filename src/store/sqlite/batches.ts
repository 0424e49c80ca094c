/** The rows of batches. */
import type { DatabaseSync } from 'node:sqlite'
import type { BatchRow } from '../core/rows.ts'
import { prepare } from './connection.ts'

export interface Batches {
  insert(row: BatchRow): void
  get(batchId: number): BatchRow | undefined
  isQueued(batchId: number): boolean
}

export function createBatches(db: DatabaseSync): Batches {
  const insert = db.prepare(
    `INSERT INTO batches (batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes, event_count,
       pending_count, attempts, received_at_ms, acknowledged, history, sealed)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const select = prepare<BatchRow>(db, 'SELECT * FROM batches WHERE batch_id = ?')
  const selectId = prepare<{ batch_id: number }>(db, 'SELECT batch_id FROM batches WHERE batch_id = ?')
  return {
    insert(row) {
      insert.run(
        row.batch_id,
        row.ad_account_id,
        Number(row.is_test),
        Number(row.is_replay),
        row.oldest_event_time_s,
        row.size_bytes,
        row.event_count,
        row.pending_count,
        row.attempts,
        row.received_at_ms,
        row.acknowledged,
        row.history,
        row.sealed,
      )
    },
    get: (batchId) => select.get(batchId),
    isQueued: (batchId) => selectId.get(batchId) !== undefined,
  }
}
