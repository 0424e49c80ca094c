/** What SQLite's failures say of the next write (write-watch.ts of the folder above), and the write that shows that it works again. */
import type { DatabaseSync } from 'node:sqlite'
import { PROBE_BYTES, type WriteProblem } from '../write-watch.ts'
import type { TravelError } from '../engine/protocol.ts'

/**
 * Nothing else fails a write for the place's sake alone: the disk, its rights, its memory, or a file that cannot be replaced.
 * `STORE_FULL` is the relay's own, may be of one account, and is known by the store's size.
 */
export function judgeFailure({ code }: TravelError): WriteProblem | undefined {
  switch (code) {
    case 'STORE_FULL':
      return undefined
    case 'DISK_FULL':
      return 'full'
    default:
      return 'stuck'
  }
}

/** No batch has this id. It is gone with the same commit, but its pages are written to the WAL. */
const PROBE_ID = -1

export function createWriteProbe(db: DatabaseSync): () => void {
  const insert = db.prepare(
    `INSERT INTO payloads (batch_id, queue_id, is_replay, oldest_event_time_s, sealed)
     VALUES (${PROBE_ID}, 0, 0, 0, zeroblob(${PROBE_BYTES}))`,
  )
  const remove = db.prepare(`DELETE FROM payloads WHERE batch_id = ${PROBE_ID}`)
  return () => {
    insert.run()
    remove.run()
  }
}
