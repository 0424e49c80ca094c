/**
 * Whether writes get through. A server with a full disk, with an absent synchronous standby, that has become read only or
 * no longer syncs, still answers reads, and would seem well. A transaction that fails for such a reason is noted; from then on a probe
 * writes something, once per look, until it is committed.
 */
import { StoreCannotOpen } from '../../errors.ts'
import { CommitInDoubt, inTransaction, sqlStateOf, type Pool } from './connect.ts'

export type WriteProblem = 'full' | 'stuck'

export interface WriteWatch {
  /** Told why a transaction failed; most reasons are none. */
  failed(error: unknown): void
  probeWith(probe: () => Promise<void>): void
  /** What is known now. Begins the next probe where something is wrong. */
  problem(): WriteProblem | undefined
}

const DISK_FULL = '53100'
/** What the server lacks, and what its system answers. */
const STUCK_CLASSES: ReadonlySet<string> = new Set(['53', '58'])
const READ_ONLY = '25006'

export function createWriteWatch(): WriteWatch {
  let problem: WriteProblem | undefined
  let probe: (() => Promise<void>) | undefined
  let probing: Promise<void> | undefined

  function failed(error: unknown): void {
    problem = judgeFailure(error) ?? problem
  }

  return {
    failed,
    probeWith: (given) => void (probe = given),
    problem() {
      if (problem !== undefined) {
        probing ??= probe?.()
          .then(() => void (problem = undefined), failed)
          .finally(() => (probing = undefined))
      }
      return problem
    },
  }
}

/** Undefined where the next transaction may well succeed, or where reads show that the database is away. */
export function judgeFailure(error: unknown): WriteProblem | undefined {
  if (error instanceof CommitInDoubt || error instanceof StoreCannotOpen) return 'stuck'
  const state = sqlStateOf(error)
  if (state === DISK_FULL) return 'full'
  return state !== undefined && (state === READ_ONLY || STUCK_CLASSES.has(state.slice(0, 2)))
    ? 'stuck'
    : undefined
}

/** As large as a post may well be: the last page of a table may have room for less. */
const PROBE_BYTES = 64 * 1024

/**
 * Takes new pages of the table that posts go to, and waits for whom they wait for. It is committed, and nobody ever sees
 * it. Replicas probe under ids of their own.
 */
export async function probeWrite(pool: Pool, ownerId: number): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query(
      `INSERT INTO parcels (parcel_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes, event_count,
         pending_count, attempts, received_at_ms, owner_id, sealed)
       VALUES ($1, '', true, false, 0, 0, 0, 0, 0, 0, $2, $3)`,
      [-ownerId, ownerId, Buffer.alloc(PROBE_BYTES)],
    )
    await client.query('DELETE FROM parcels WHERE parcel_id = $1', [-ownerId])
  })
}
