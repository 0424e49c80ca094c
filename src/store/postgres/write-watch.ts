/**
 * What PostgreSQL's answers say of the next write (core/write-watch.ts): a server with a full disk, with an absent
 * synchronous standby, that has become read only or no longer syncs.
 */
import { StoreCannotOpen } from '../../errors.ts'
import { PROBE_BYTES, type WriteProblem } from '../core/write-watch.ts'
import { CommitInDoubt } from './client.ts'
import { inTransaction, sqlStateOf, type Pool } from './connect.ts'

const DISK_FULL = '53100'
/** What the server lacks, and what its system answers. */
const STUCK_CLASSES: ReadonlySet<string> = new Set(['53', '58'])
const READ_ONLY = '25006'

/** Undefined where the next transaction may succeed, or where reads show that the database is away. */
export function judgeFailure(error: unknown): WriteProblem | undefined {
  if (error instanceof CommitInDoubt || error instanceof StoreCannotOpen) return 'stuck'
  const state = sqlStateOf(error)
  if (state === DISK_FULL) return 'full'
  return state !== undefined && (state === READ_ONLY || STUCK_CLASSES.has(state.slice(0, 2)))
    ? 'stuck'
    : undefined
}

/**
 * Writes new pages of the batches' table and waits for the same standby as a post. The row is deleted in the same
 * transaction. Each replica has an id of its own for it.
 */
export async function probeWrite(pool: Pool, ownerId: number): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query(
      `INSERT INTO batches (batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes, event_count,
         pending_count, attempts, received_at_ms, owner_id, sealed)
       VALUES ($1, '', true, false, 0, 0, 0, 0, 0, 0, $2, $3)`,
      [-ownerId, ownerId, Buffer.alloc(PROBE_BYTES)],
    )
    await client.query('DELETE FROM batches WHERE batch_id = $1', [-ownerId])
  })
}
