/** What SQLite's failures say of the next write (core/write-watch.ts), and the write that shows that it works again. */
import type { DatabaseSync } from 'node:sqlite'
import { PROBE_BYTES, type WriteProblem } from '../core/write-watch.ts'

/**
 * Nothing else fails a write for the place's sake alone: the disk, its rights, its memory, or a file that cannot be replaced.
 * `STORE_FULL` is the relay's own, may be of one account, and is known by the store's size.
 */
export function judgeFailure(code: string): WriteProblem | undefined {
  if (code === 'STORE_FULL') return undefined
  return code === 'DISK_FULL' ? 'full' : 'stuck'
}

/** No batch has this id. It is gone with the same commit, but its pages are written to the WAL. */
const PROBE_ID = -1

export function createWriteProbe(db: DatabaseSync): () => void {
  const insert = db.prepare(
    `INSERT INTO batches (batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes, event_count,
       pending_count, attempts, received_at_ms, sealed)
     VALUES (${PROBE_ID}, '', 1, 0, 0, 0, 0, 0, 0, 0, zeroblob(${PROBE_BYTES}))`,
  )
  const remove = db.prepare(`DELETE FROM batches WHERE batch_id = ${PROBE_ID}`)
  return () => {
    insert.run()
    remove.run()
  }
}
