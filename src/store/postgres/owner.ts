/**
 * Who this process is among the replicas. All times are the database's.
 *
 *   registered ──heartbeat every 2 s──> alive ──none for 15 s, seen by any──────> dead ──(5 minutes)──> gone
 *        ▲                                │                                         │
 *        └──────── a new number ──────────┼────── finds itself declared dead ───────┘
 *                                         └──close──> dead
 *
 * The number is the fencing number. A batch that a dead owner leases waits again; what the dead one says of it afterwards
 * counts only as long as nobody else leases it. Its tokens stay counted until it is gone: a suspended process
 * may continue, and has those of all its numbers then. The counters of dead owners are merged into row 0. Who finds that
 * the server has lost its last commits takes a new number, too.
 *
 * Whoever comes to a server first passes over ids of batches that it may have lost: at its own start, and where the server has
 * started since, as after a failover.
 */
import { uniqueQueues, type QueueRow } from '../core/rows.ts'
import type { StoreOptions } from '../engine/api.ts'
import { ADD, COUNTERS } from '../core/totals.ts'
import type { Pool, Queryable } from './connect.ts'
import type { Timing } from './open.ts'
import { run } from './run.ts'
import { publish } from './transaction.ts'

/** A number of this process. */
export interface Registration {
  readonly id: number
  /** When the server started whose lost ids were passed over. */
  serverStart: number
  /** The last transaction of the writer that was answered. */
  committed: number
}

interface OwnerOptions
  extends Pick<Timing, 'name' | 'heartbeatMs' | 'leaseMs'>, Pick<StoreOptions, 'onProblem' | 'onChange'> {
  readonly pool: Pool
  readonly keyId: string
  /** Called with the reason of a failed heartbeat. */
  readonly onFailure: (error: unknown) => void
}

export type Owner = Awaited<ReturnType<typeof registerOwner>>

/** Batches that one transaction frees. */
const FREED_AT_ONCE = 1000
/** Rows of totals that one transaction merges: half a second. */
const MERGED_AT_ONCE = 10_000
/** A suspended process may still use its tokens. */
const GONE_AFTER_S = 300
/** "batch" in ASCII. */
const BATCH_IDS_LOCK = 0x6261746368
/**
 * A standby that lacked the last commits would give their ids again, and outcomes of what was lost would be taken for those of
 * newer batches. More than any standby lags behind.
 */
const LOST_IDS = 1e7
/** As a number that a double holds. */
export const SERVER_START = 'extract(epoch FROM pg_postmaster_start_time())::float8'

export async function registerOwner(options: OwnerOptions) {
  const { pool, heartbeatMs, leaseMs, onFailure, onChange, onProblem } = options
  let own = await pool.transact((client) => register(client, options))
  const ids = [own.id]
  let registering: Promise<void> | undefined
  let beating: Promise<void> | undefined
  /** Start of the heartbeats without a gap; monotonic. */
  let steadySinceMs = performance.now()
  let beatAtMs = -Infinity
  let isClosed = false

  /**
   * Takes a new number. Once for each death: a second one would get no heartbeats, and its leases would be taken over. Where the old one is
   * alive without the last commit, the server has lost that: what is in memory is still to be sent, since the store may have lost it.
   * `writing`: the writer's pool, which knows what was committed.
   */
  async function registerAgain(old: Registration, writing?: Pool): Promise<void> {
    if (isClosed || own !== old) return
    registering ??= (writing ?? pool)
      .transact((client) => renew(client, old, writing !== undefined, options))
      .then(({ isAlive, ...renewed }) => {
        if (renewed.id === old.id) return void (old.serverStart = renewed.serverStart)
        own = renewed
        ids.push(own.id)
        if (isAlive) onProblem({ problem: 'commits_lost' })
        else onChange({ kind: 'leases_lost' })
      })
      .finally(() => (registering = undefined))
    return registering
  }

  async function beat(): Promise<void> {
    const at = own
    const { rowCount } = await pool.query(
      'UPDATE owners SET heartbeat_at = clock_timestamp() WHERE owner_id = $1 AND dead_at IS NULL',
      [at.id],
    )
    if (rowCount === 0) await registerAgain(at)
    const nowMs = performance.now()
    if (nowMs - beatAtMs > leaseMs / 2) steadySinceMs = nowMs
    beatAtMs = nowMs
    if (nowMs - steadySinceMs >= leaseMs) await declareDead(pool, leaseMs)
    await takeOver(pool)
  }

  await beat()
  const timer = setInterval(() => {
    beating ??= beat()
      .catch(onFailure)
      .finally(() => (beating = undefined))
  }, heartbeatMs)
  timer.unref()

  return {
    get registration(): Registration {
      return own
    },
    get id(): number {
      return own.id
    },
    /** Every number this process had, this one included. */
    ids: ids as readonly number[],
    registerAgain,
    replicas: async (): Promise<number> => {
      const { rows } = await pool.query<{ alive: number }>(
        `SELECT COUNT(*) AS alive FROM owners
         WHERE dead_at IS NULL AND heartbeat_at > clock_timestamp() - $1 * interval '1 millisecond'`,
        [leaseMs],
      )
      return rows[0]!.alive
    },
    /** Its leased batches wait again. Its tokens are used up: no call is in flight any more. */
    async close(): Promise<void> {
      isClosed = true
      clearInterval(timer)
      await beating
      await pool.query(
        'UPDATE owners SET dead_at = clock_timestamp() WHERE owner_id = $1 AND dead_at IS NULL',
        [own.id],
      )
      await pool.query('DELETE FROM bucket_grants WHERE owner_id = ANY($1)', [ids])
      await takeOver(pool)
    },
  }
}

async function register(client: Queryable, { name, keyId }: OwnerOptions): Promise<Registration> {
  const serverStart = await passLostIds(client)
  const { rows } = await client.query<{ owner_id: number }>(
    'INSERT INTO owners (name, key_id) VALUES ($1, $2) RETURNING owner_id',
    [name, keyId],
  )
  return { id: rows[0]!.owner_id, serverStart, committed: 0 }
}

/** Keeps the number where it is alive, with the last commit if that is asked: another host answers than before, or the server has started. */
async function renew(
  client: Queryable,
  old: Registration,
  isWriting: boolean,
  options: OwnerOptions,
): Promise<Registration & { readonly isAlive: boolean }> {
  const { rows } = await client.query<{ commit_number: number }>(
    'SELECT commit_number FROM owners WHERE owner_id = $1 AND dead_at IS NULL',
    [old.id],
  )
  const isAlive = rows.length > 0
  if (isAlive && (!isWriting || rows[0]!.commit_number === old.committed))
    return { ...old, serverStart: await passLostIds(client), isAlive }
  return { ...(await register(client, options)), isAlive }
}

/** Answers when the server started: a standby that is promoted did so at another time than its primary. */
async function passLostIds(client: Queryable): Promise<number> {
  // Two at once could set it back.
  await client.query('SELECT pg_advisory_xact_lock($1)', [BATCH_IDS_LOCK])
  const { rows } = await client.query<{ start: number }>(
    `SELECT setval('batch_ids', nextval('batch_ids') + ${LOST_IDS}), ${SERVER_START} AS start`,
  )
  return rows[0]!.start
}

/**
 * Only an owner that had heartbeats for so long may do it: after an outage of the database, the first heartbeat must not
 * declare all others dead. An owner in a transaction is alive: the server ends transactions of stopped clients.
 */
async function declareDead(pool: Pool, leaseMs: number): Promise<void> {
  await pool.query(
    `UPDATE owners SET dead_at = clock_timestamp() WHERE owner_id IN (
       SELECT owner_id FROM owners
       WHERE dead_at IS NULL AND (heartbeat_at < clock_timestamp() - $1 * interval '1 millisecond'
           -- The clock was set back since.
           OR heartbeat_at > clock_timestamp() + $1 * interval '1 millisecond')
       FOR UPDATE SKIP LOCKED)`,
    [leaseMs],
  )
}

/** Frees the leases of dead owners, in steps; several replicas may do it at once. */
async function takeOver(pool: Pool): Promise<void> {
  for (;;) {
    const freed = await pool.transact(async (client) => {
      const { rows } = await client.query<QueueRow>(
        // Materialized, or PostgreSQL may run it once per row and free more than a step.
        `WITH left_behind AS MATERIALIZED (
           SELECT batch_id FROM batches WHERE owner_id IN (SELECT owner_id FROM owners WHERE dead_at IS NOT NULL)
           ORDER BY batch_id LIMIT ${FREED_AT_ONCE} FOR UPDATE SKIP LOCKED)
         UPDATE batches SET owner_id = NULL, lease_number = NULL WHERE batch_id IN (SELECT batch_id FROM left_behind)
         RETURNING ad_account_id, is_test`,
      )
      await run(client, publish(null, { kind: 'queues', queues: uniqueQueues(rows) }))
      return rows.length
    })
    if (freed < FREED_AT_ONCE) break
  }
  while (await pool.transact(mergeDeadOwners));
}

/** Merges the totals of dead owners, and deletes owners that are dead for long. Answers whether there may be more. */
async function mergeDeadOwners(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ owner_id: number; is_gone: boolean }>(
    `SELECT owner_id, dead_at < clock_timestamp() - interval '${GONE_AFTER_S} seconds' AS is_gone FROM owners o
     WHERE dead_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM batches p WHERE p.owner_id = o.owner_id)
     ORDER BY owner_id FOR UPDATE SKIP LOCKED`,
  )
  if (rows.length === 0) return false
  const ids = rows.map((row) => row.owner_id)
  await client.query('DELETE FROM claims WHERE owner_id = ANY($1)', [ids])
  const names = COUNTERS.join(', ')
  const sums = COUNTERS.map((name) => `SUM(${name})::bigint`).join(', ')
  const { rowCount } = await client.query(
    `WITH gone AS (
       DELETE FROM totals WHERE ctid = ANY(ARRAY(SELECT ctid FROM totals WHERE owner_id = ANY($1) LIMIT ${MERGED_AT_ONCE})) RETURNING *)
     INSERT INTO totals (ad_account_id, is_test, owner_id, ${names})
       SELECT ad_account_id, is_test, 0, ${sums} FROM gone GROUP BY ad_account_id, is_test
       ORDER BY ad_account_id, is_test
     ${ADD}`,
    [ids],
  )
  if (rowCount !== 0) return true
  const goneIds = rows.filter((row) => row.is_gone).map((row) => row.owner_id)
  if (goneIds.length === 0) return false
  await client.query('DELETE FROM bucket_grants WHERE owner_id = ANY($1)', [goneIds])
  await client.query('DELETE FROM owners WHERE owner_id = ANY($1)', [goneIds])
  return false
}
