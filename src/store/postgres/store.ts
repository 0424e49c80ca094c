/** The store's interface: what changes something goes through the batcher, in order; what only reads, beside it. */
import { StoreUnavailable } from '../../errors.ts'
import type { Sealer } from '../../vault/seal.ts'
import type { Batcher } from '../sqlite/batcher.ts'
import { createStore as createBatchedStore } from '../sqlite/client.ts'
import type { DeadLetter, NewParcel, Store } from '../store.ts'
import { readAudit } from './audit.ts'
import { readBacklog, readBooks, readQueuedBytes } from './books.ts'
import { isPlaceAtFault, type Pool, type Queryable } from './connect.ts'
import { findLetters } from './letters.ts'
import type { WriteWatch } from './write-watch.ts'

export interface StoreOptions {
  readonly batcher: Batcher
  readonly pool: Pool
  readonly sealer: Sealer
  readonly writes: WriteWatch
  readonly limitBytes: number
  readonly close: () => Promise<void>
}

/** Above this share of the limit commits are refused; once full it must fall to the lower one. */
const WATERMARK = 0.8
const TAKEN_AGAIN = 0.75
/** How long a look at what is queued is good for. */
const LOOK_MS = 1000

export function createStore({ batcher, pool, sealer, writes, limitBytes, close }: StoreOptions): Store {
  const batched = createBatchedStore(batcher, close)
  const room = createRoom(pool, limitBytes)

  return {
    ...batched,
    commit(parcel: NewParcel) {
      if (!room.admits(parcel.payload.byteLength)) return Promise.reject(new StoreUnavailable())
      return batched.commit(parcel)
    },
    backlog: () => read(() => readBacklog(pool)),
    books: (filter) => read(() => readBooks(pool, filter)),
    deadLetters: ({ limit, ...query }) =>
      read(async () => {
        const letters: DeadLetter[] = []
        let beforeId = query.beforeId ?? Number.MAX_SAFE_INTEGER
        while (letters.length < limit) {
          const rest = { ...query, limit: limit - letters.length, beforeId }
          const step = await findLetters(pool, sealer, rest)
          letters.push(...step.letters)
          if (step.beforeId === undefined) break
          beforeId = step.beforeId
        }
        return letters
      }),
    auditTrail: (query) => read(() => readAudit(pool, query)),
    size: () =>
      read(async () => {
        const problem = writes.problem()
        if (problem === 'stuck') throw new StoreUnavailable()
        const usedBytes = await readUsedBytes(pool)
        // What is free on the server's disk is not known here; nor is how much of it is the relay's.
        const diskFreeBytes = Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, limitBytes - usedBytes))
        return { usedBytes, diskFreeBytes, isFull: (await room.isFull()) || problem === 'full' }
      }),
    close,
  }
}

async function read<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
  }
}

/**
 * Counts the queued payloads of all replicas, not the size of the tables: PostgreSQL uses the room of what was deleted
 * again, but rarely gives it back.
 */
function createRoom(pool: Pool, limitBytes: number) {
  let lookedAtMs = -Infinity
  let looking: Promise<void> | undefined
  let queuedBytes = 0
  let isFull = false

  async function look(): Promise<void> {
    queuedBytes = await readQueuedBytes(pool)
    isFull = queuedBytes > (isFull ? TAKEN_AGAIN : WATERMARK) * limitBytes
    lookedAtMs = performance.now()
  }

  function lookIfStale(): Promise<void> {
    if (limitBytes === Infinity || performance.now() - lookedAtMs < LOOK_MS) return Promise.resolve()
    looking ??= look().finally(() => (looking = undefined))
    return looking
  }

  return {
    /** By what the last look found and was admitted since: no post waits for a look. */
    admits(bytes: number): boolean {
      // Commits tell it themselves when the database is away.
      lookIfStale().catch(() => undefined)
      if (isFull || queuedBytes + bytes > WATERMARK * limitBytes) {
        isFull = true
        return false
      }
      queuedBytes += bytes
      return true
    },
    async isFull(): Promise<boolean> {
      await lookIfStale()
      return isFull
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
