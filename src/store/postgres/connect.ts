/**
 * Pools of connections, their transactions, and the classes of errors. Every wait has an end: for a connection, a lock, a
 * statement, and (on the server's side) for a client that stopped in the middle of a transaction. What a transaction
 * begins and ends with is in client.ts.
 */
import pg from 'pg'
import { CannotOpen, StoreUnavailable } from '../../errors.ts'
import { codeOf } from '../../telemetry/log.ts'
import type { WriteProblem } from '../core/write-watch.ts'
import { clientSettings, RelayClient, type ConnectionOptions, type Queryable } from './client.ts'
import type { Target } from './hosts.ts'

type PoolClient = RelayClient & { release(error?: Error): void }

export interface Pool extends Queryable {
  /** A client in a transaction. */
  begin(): Promise<PoolClient>
  end(): Promise<void>
}

/** After a failure nothing connects for so long: a database that is starting must not be flooded with connections. */
const REST_MS = 250

/** One pool per host: after a failover, idle connections lead to the old host, where a read would be stale. */
export function createPool(options: ConnectionOptions, size: number): Pool {
  const pools = new Map<Target, pg.Pool>()

  function poolOf(target: Target): pg.Pool {
    const known = pools.get(target)
    if (known !== undefined) return known
    const pool = new pg.Pool({
      ...clientSettings(options, target),
      // Its types do not allow a client with more settings.
      Client: RelayClient as unknown as NonNullable<pg.PoolConfig['Client']>,
      min: 1,
      max: size,
      allowExitOnIdle: true,
    })
    // A connection that ended is replaced when the next one is needed.
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    pools.set(target, pool)
    return pool
  }

  async function begin(target: Target): Promise<PoolClient> {
    const client = (await poolOf(target).connect()) as unknown as PoolClient
    try {
      await client.begin()
      return client
    } catch (error) {
      client.release(error as Error)
      throw error
    }
  }

  let failed: { readonly atMs: number; readonly error: unknown } | undefined
  const own: Pool = {
    async begin() {
      if (failed !== undefined && performance.now() - failed.atMs < REST_MS) throw failed.error
      try {
        return await options.hosts.dial(begin)
      } catch (error) {
        failed = { atMs: performance.now(), error }
        throw error
      }
    },
    query: (sql, values) => inTransaction(own, (client) => client.query(sql, values)),
    end: async () => void (await Promise.all(Array.from(pools.values(), (pool) => pool.end()))),
  }
  return own
}

/** Runs `work` in one transaction. */
export async function inTransaction<Result>(
  pool: Pool,
  work: (client: Queryable) => Promise<Result>,
): Promise<Result> {
  const client = await pool.begin()
  let failure: Error | undefined
  try {
    const result = await work(client)
    await client.commit()
    return result
  } catch (error) {
    if (isTimedOut(error)) client.passOver()
    failure = error as Error
    if (!isConnectionLost(error)) {
      await client.query('ROLLBACK').then(
        () => (failure = undefined),
        () => undefined,
      )
    }
    throw error
  } finally {
    client.release(failure)
  }
}

/**
 * The server, the connection or another transaction is at fault: a retry may succeed. Errors without an SQLSTATE come from the
 * connection, except an operation's own.
 */
export function isPlaceAtFault(error: unknown): boolean {
  if (isOperationAtFault(error)) return false
  const code = sqlStateOf(error)
  return code === undefined || PLACE_CLASSES.has(code.slice(0, 2)) || PLACE_STATES.has(code)
}

/** An acknowledgement names an event that its batch does not have, or a dead one of a batch that no key opens. */
function isOperationAtFault(error: unknown): boolean {
  return error instanceof RangeError || error instanceof CannotOpen
}

/** Rejects with STORE_UNAVAILABLE then. */
export async function orUnavailable<Result>(asked: Promise<Result>): Promise<Result> {
  return asked.catch((error: unknown) => {
    throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
  })
}

/** A deadlock or a serialization failure. */
export function isConflict(error: unknown): boolean {
  return sqlStateOf(error)?.startsWith('40') ?? false
}

/** The connection has died, leads to a server that takes no writes or gives no lock, or is in an unknown state. */
export function isConnectionLost(error: unknown): boolean {
  if (isOperationAtFault(error)) return false
  const code = sqlStateOf(error)
  return (
    code === undefined ||
    code.startsWith('08') ||
    code.startsWith('57P') ||
    LOST_STATES.has(code) ||
    isTimedOut(error)
  )
}

/**
 * A lock or a statement took too long. On a primary that was replaced, a commit that waits for its standby holds its
 * locks for ever; a transaction that waits for such a lock never reaches a commit in doubt.
 */
function isTimedOut(error: unknown): boolean {
  return TIMED_OUT_STATES.has(sqlStateOf(error) ?? '')
}

/**
 * What a failure's code says of the next write (core/write-watch.ts): a server with a full disk, with an absent synchronous
 * standby, that has become read only or no longer syncs. Undefined where the next transaction may succeed, or where reads
 * show that the database is away.
 */
export function judgeFailure(code: string): WriteProblem | undefined {
  if (code === DISK_FULL) return 'full'
  return STUCK_CODES.has(code) || STUCK_CLASSES.has(code.slice(0, 2)) ? 'stuck' : undefined
}

function sqlStateOf(error: unknown): string | undefined {
  const code = codeOf(error)
  return error instanceof Error && 'severity' in error && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const PLACE_CLASSES: ReadonlySet<string> = new Set(['08', '28', '3D', '40', '53', '57', '58', 'XX'])
/** What the server lacks, and what its system answers. */
const STUCK_CLASSES: ReadonlySet<string> = new Set(['53', '58'])
const DISK_FULL = '53100'
const READ_ONLY = '25006'
const STUCK_CODES: ReadonlySet<string> = new Set([READ_ONLY, 'COMMIT_IN_DOUBT', 'STORE_CANNOT_OPEN'])
/** A read-only server, a client that stopped. */
const LOST_STATES: ReadonlySet<string> = new Set(['25P03', READ_ONLY])
/** lock_timeout and statement_timeout. */
const TIMED_OUT_STATES: ReadonlySet<string> = new Set(['55P03', '57014'])
const PLACE_STATES: ReadonlySet<string> = new Set([...LOST_STATES, '55P03', '25P02'])
