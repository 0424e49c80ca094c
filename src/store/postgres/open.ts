/**
 * The store for several replicas: one PostgreSQL database, in a schema of its own. Nothing above `store/` knows of it.
 *
 * Times between replicas are the database's. Opening rejects with STORE_TOO_NEW, WRONG_MASTER_KEY or STORE_CANNOT_OPEN,
 * and has then changed nothing. While the database is away, posts get STORE_UNAVAILABLE and outcomes are kept
 * until they can be written; no restart is needed.
 */
import { BackupRefused, isOfTable, StoreCannotOpen, StoreUnavailable } from '../../errors.ts'
import { createSealer } from '../../vault/seal.ts'
import type { OpenedStore, StoreOptions } from '../engine/api.ts'
import { createBatcher, type Batcher } from '../engine/batcher.ts'
import { createStore } from '../engine/store.ts'
import { readFor } from '../core/run-operations.ts'
import { readBytes } from '../core/totals.ts'
import { createTrailTail } from '../core/trail-tail.ts'
import { createTrailWriter } from '../core/trail.ts'
import { createWriteWatch, probeWrite } from '../core/write-watch.ts'
import { createExchange } from './buckets.ts'
import { createCapacityCheck } from './capacity.ts'
import { createPool, STATEMENT_MS, type ConnectionOptions, type Pool } from './connect.ts'
import { parseDatabaseUrl } from './database-url.ts'
import { causeOf, isInDoubt, judgeFailure } from './failures.ts'
import { createFeed } from './feed.ts'
import { createHosts, type Hosts } from './hosts.ts'
import { addKeyChecks, assertCheckOpens, readKeyChecks } from '../core/reseal.ts'
import { run } from './run.ts'
import { makeTables, TABLES_MS } from './schema.ts'
import { registerOwner, type Owner } from './owner.ts'
import { createVaultStore } from './vault.ts'
import { createWriter } from './writer.ts'

const TIMING = {
  /** How replicas and `pg_stat_activity` call this process. */
  name: 'pinrelay',
  heartbeatMs: 2000,
  /** A replica without a heartbeat for this long counts as dead, and others lease what it had leased. */
  leaseMs: 15_000,
  feedPollMs: 1000,
  /** How long a statement may take that posts or calls wait for, COMMIT included: no longer for a host that has vanished. */
  vitalStatementMs: 6000,
}
export type Timing = Readonly<typeof TIMING>

/** Reads and the vault. */
const POOL_SIZE = 6
/** Heartbeats, tokens, breakers. */
const VITAL_POOL_SIZE = 3

/** Other times, and another name, are for tests. */
export async function openPostgres(
  url: string,
  options: StoreOptions,
  otherwise: Partial<Timing> = {},
): Promise<OpenedStore> {
  const { masterKeys, signal, hasTrail, wallMs, storeLimitBytes: limitBytes, onGroup, onChange } = options
  const timing = { ...TIMING, ...otherwise }
  const hosts = createHosts(parseDatabaseUrl(url))
  const connection: ConnectionOptions = { hosts, applicationName: timing.name, signal }
  const sealer = createSealer(masterKeys)
  const trail = { writer: createTrailWriter(hasTrail, wallMs), tail: createTrailTail() }
  await using parts = new AsyncDisposableStack()
  const open = (also: Partial<ConnectionOptions>, size: number) =>
    parts.adopt(createPool({ ...connection, ...also }, size), (pool) => pool.end())
  const pool = open({ isForReads: true }, POOL_SIZE)
  // Apart from the operators' reads, which must not delay heartbeats and tokens.
  const vital = open({ statementMs: timing.vitalStatementMs }, VITAL_POOL_SIZE)
  const writes = createWriteWatch({
    judge: judgeFailure,
    // Waits for the same standby as a post.
    probe: () => vital.transact((client) => run(client, probeWrite())),
  })
  async function begin(): Promise<Owner> {
    // The others wait for as long as the tables take: nothing is won by ending a start on a slow machine.
    const once = createPool({ ...connection, statementMs: TABLES_MS, stoppedClientMs: STATEMENT_MS }, 1)
    try {
      await once.transact(async (client) => {
        await makeTables(client)
        for (const { sealed } of await run(client, readKeyChecks())) assertCheckOpens(sealed, sealer)
        await run(client, addKeyChecks(sealer, ['queue', 'vault']))
      })
    } finally {
      await once.end()
    }
    return registerOwner({
      ...options,
      ...timing,
      pool: vital,
      keyId: sealer.keyId,
      onFailure: writes.failed,
    })
  }
  const owner = await atSomeHost(hosts, begin)
  parts.defer(() => owner.close().catch(() => undefined))
  const writer = createWriter({
    ...options,
    pool: open({ statementMs: timing.vitalStatementMs, keepsPlans: true }, 1),
    sealer,
    owner,
    trail,
  })
  const batcher = createBatcher({ run: writer, onGroup, onWriteFailed: writes.failed, signal })
  parts.defer(() => batcher.drain())
  const { close: closeFeed, ...breakers } = createFeed({ ...timing, pool, vital, owner, onChange })
  parts.defer(closeFeed)

  const capacityCheck = createCapacityCheck(pool, limitBytes)
  /** Changes go through the batcher, in order; reads do not. */
  const submit: Batcher['submit'] = (kind, request) => {
    const read = readFor(kind, { sealer, tail: trail.tail }, request)
    return read === undefined ? batcher.submit(kind, request) : run(pool, read)
  }
  const opened = parts.move()
  let closing: Promise<void> | undefined
  const close = () => (closing ??= opened.disposeAsync())
  const store = createStore(submit)
  return {
    store: {
      ...store,
      async commit(batch) {
        if (!capacityCheck.admits(batch.adAccountId, batch.payload.byteLength)) throw new StoreUnavailable()
        return store.commit(batch)
      },
      size: () =>
        writes.size(async () => ({
          ...(await readBytesUsed(pool, limitBytes)),
          ...(await capacityCheck.state()),
        })),
    },
    vaultStore: createVaultStore(pool, owner),
    shared: { ...breakers, exchange: createExchange(vital, owner), replicas: owner.replicas },
    recover: async () => undefined,
    async backUp() {
      throw new BackupRefused('The store is PostgreSQL: back it up with its own tools, see docs/postgres.md.')
    },
    close,
  }
}

async function readBytesUsed(pool: Pool, limitBytes: number) {
  const { rows } = await pool.query<{ bytes: number }>(
    `SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`,
  )
  const usedBytes = rows[0]!.bytes
  // The free space of the server's disk is not known here.
  const diskFreeBytes = Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, limitBytes - usedBytes))
  return { usedBytes, diskFreeBytes, ...(await run(pool, readBytes())) }
}

/** Tries the next host where a commit is not confirmed, as on a primary that was replaced. Rejects with an error of the table. */
async function atSomeHost<Result>({ count }: Hosts, begin: () => Promise<Result>): Promise<Result> {
  for (let left = count - 1; ; left--) {
    try {
      return await begin()
    } catch (error) {
      if (isInDoubt(error) && left > 0) continue
      const cause = causeOf(error)
      if (isOfTable(cause)) throw cause
      const message = `The database cannot be opened (${reasonOf(cause)}); nothing was changed.`
      throw new StoreCannotOpen(message, { cause })
    }
  }
}

/** A host name with several addresses fails with an AggregateError, which has no message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
