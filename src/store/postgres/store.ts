/** The store's interface: changes go through the batcher, in order; reads do not. */
import { StoreUnavailable } from '../../errors.ts'
import type { Sealer } from '../../vault/seal.ts'
import type { Batcher } from '../engine/batcher.ts'
import { createStore as createBatchingStore } from '../engine/client.ts'
import { createCapacity } from '../core/capacity.ts'
import { readFor } from '../core/run-operations.ts'
import { readBytes } from '../core/totals.ts'
import type { TrailTail } from '../core/trail-tail.ts'
import type { NewBatch, Store } from '../store.ts'
import type { WriteWatch } from '../core/write-watch.ts'
import type { Pool } from './connect.ts'
import { orUnavailable } from './failures.ts'
import { run } from './run.ts'

export interface StoreOptions {
  readonly batcher: Batcher
  readonly pool: Pool
  readonly sealer: Sealer
  readonly writes: WriteWatch
  readonly tail: TrailTail
  readonly limitBytes: number
  readonly close: () => Promise<void>
}

/** The queued bytes are counted again after so long. */
const LOOK_MS = 1000

export function createStore(options: StoreOptions): Store {
  const { batcher, pool, sealer, writes, tail, limitBytes, close } = options
  const admission = createAdmission(pool, limitBytes)
  const submit: Batcher['submit'] = (kind, request) => {
    const read = readFor(kind, { sealer, tail }, request)
    return read === undefined ? batcher.submit(kind, request) : orUnavailable(run(pool, read))
  }
  const batched = createBatchingStore(submit, close)

  async function readSize() {
    const { rows } = await pool.query<{ bytes: number }>(
      `SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class
       WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`,
    )
    const usedBytes = rows[0]!.bytes
    // The free space of the server's disk is not known here.
    const diskFreeBytes = Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, limitBytes - usedBytes))
    return { usedBytes, diskFreeBytes, ...(await run(pool, readBytes())), ...(await admission.state()) }
  }

  return {
    ...batched,
    commit(batch: NewBatch) {
      if (!admission.admits(batch.adAccountId, batch.payload.byteLength))
        return Promise.reject(new StoreUnavailable())
      return batched.commit(batch)
    },
    size: () => orUnavailable(writes.size(readSize)),
  }
}

/**
 * Counts the queued payloads of all replicas, not the size of the tables: PostgreSQL reuses the space of deleted rows
 * but rarely returns it. A transaction in progress is missed until the next count: it is small beside the room that is
 * left. How much of the room an account may take: core/capacity.ts.
 */
function createAdmission(pool: Pool, limitBytes: number) {
  let lookedAtMs = -Infinity
  let looking: Promise<void> | undefined
  let queuedBytes = 0
  /** Of each account that has some. */
  let queuedOf = new Map<string, number>()
  const capacity = createCapacity((part) => part * limitBytes - queuedBytes)

  async function look(): Promise<void> {
    const { rows } = await pool.query<{ ad_account_id: string; bytes: number }>(
      `SELECT ad_account_id, SUM(bytes)::bigint AS bytes FROM totals
       GROUP BY ad_account_id HAVING SUM(bytes) > 0`,
    )
    queuedOf = new Map(rows.map((row) => [row.ad_account_id, row.bytes]))
    queuedBytes = rows.reduce((sum, { bytes }) => sum + bytes, 0)
    capacity.look()
    lookedAtMs = performance.now()
  }

  function lookIfStale(): void {
    if (limitBytes === Infinity || performance.now() - lookedAtMs < LOOK_MS) return
    // While the database is away the commit itself fails.
    looking ??= look()
      .catch(() => undefined)
      .finally(() => (looking = undefined))
  }

  return {
    /** By the last look and what was admitted since, so that no post waits for a query. */
    admits(adAccountId: string, bytes: number): boolean {
      lookIfStale()
      const ownBytes = queuedOf.get(adAccountId) ?? 0
      if (!capacity.admits(bytes, ownBytes)) return false
      queuedOf.set(adAccountId, ownBytes + bytes)
      return true
    },
    async state() {
      await look()
      const over = [...queuedOf].filter(([, bytes]) => bytes > capacity.share())
      return { isFull: capacity.isFull, overShare: over.map(([adAccountId]) => adAccountId) }
    },
  }
}
