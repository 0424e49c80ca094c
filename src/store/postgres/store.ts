/** The store's interface: changes go through the batcher, in order; reads do not. */
import { StoreUnavailable } from '../../errors.ts'
import type { Sealer } from '../../vault/seal.ts'
import type { Batcher } from '../engine/batcher.ts'
import { createStore as createBatchingStore } from '../engine/client.ts'
import { createCapacity, WATERMARK } from '../core/capacity.ts'
import type { TrailTail } from '../core/trail-tail.ts'
import { readFor } from '../core/run-operations.ts'
import { readBytes, type StoredBytes } from '../core/totals.ts'
import type { NewBatch, Store } from '../store.ts'
import type { WriteWatch } from '../core/write-watch.ts'
import type { Queryable } from './client.ts'
import { orUnavailable, type Pool } from './connect.ts'
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
/** Of the capacity: with less queued no account is looked up. */
const LOW_PART = 0.25

export function createStore(options: StoreOptions): Store {
  const { batcher, pool, sealer, writes, tail, limitBytes, close } = options
  const admission = createAdmission(pool, limitBytes)
  const submit: Batcher['submit'] = (kind, request) => {
    const read = readFor(kind, { sealer, tail }, request)
    return read === undefined ? batcher.submit(kind, request) : orUnavailable(run(pool, read))
  }
  const batched = createBatchingStore(submit, close)

  return {
    ...batched,
    commit(batch: NewBatch) {
      if (!admission.admits(batch.adAccountId, batch.payload.byteLength))
        return Promise.reject(new StoreUnavailable())
      return batched.commit(batch)
    },
    size: () =>
      orUnavailable(
        writes.size(async () => {
          const usedBytes = await readUsedBytes(pool)
          // The free space of the server's disk is not known here.
          const diskFreeBytes = Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, limitBytes - usedBytes))
          return { usedBytes, diskFreeBytes, ...(await admission.state()) }
        }),
      ),
  }
}

/**
 * Counts the queued payloads of all replicas, not the size of the tables: PostgreSQL reuses the space of deleted rows
 * but rarely returns it. A transaction in progress is missed until the next count: it is small beside the room that is left. How much of the room an account may take: core/capacity.ts.
 */
function createAdmission(pool: Pool, limitBytes: number) {
  let lookedAtMs = -Infinity
  let looking: Promise<void> | undefined
  let queuedBytes = 0
  /** Of each account; while little is queued only what was admitted since the last look. */
  let queuedOf = new Map<string, number>()
  const capacity = createCapacity((part) => part * limitBytes - queuedBytes)

  async function look(): Promise<StoredBytes> {
    const stored = await run(pool, readBytes())
    queuedBytes = stored.queuedBytes
    capacity.look()
    // Well below any account's share, since the next look is a second later.
    const isLow = queuedBytes < LOW_PART * WATERMARK * limitBytes
    queuedOf = isLow ? new Map() : await readQueuedBytes(pool)
    lookedAtMs = performance.now()
    return stored
  }

  function lookIfStale(): void {
    if (limitBytes === Infinity || performance.now() - lookedAtMs < LOOK_MS) return
    // While the database is away the commit itself fails.
    looking ??= look()
      .then(
        () => undefined,
        () => undefined,
      )
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
      const stored = await look()
      const { isFull } = capacity
      const over = [...queuedOf].filter(([, bytes]) => bytes > capacity.share())
      return { ...stored, isFull, overShare: over.map(([adAccountId]) => adAccountId) }
    },
  }
}

async function readUsedBytes(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>(
    `SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`,
  )
  return rows[0]!.bytes
}

/** Queued payloads, of each account that has some. */
async function readQueuedBytes(client: Queryable): Promise<Map<string, number>> {
  const { rows } = await client.query<{ ad_account_id: string; bytes: number }>(
    `SELECT ad_account_id, SUM(bytes)::bigint AS bytes FROM totals
     GROUP BY ad_account_id HAVING SUM(bytes) > 0`,
  )
  return new Map(rows.map((row) => [row.ad_account_id, row.bytes]))
}
