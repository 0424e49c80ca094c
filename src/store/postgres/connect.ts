/**
 * Connections: how they are made, and whose fault an error is. Every wait has an end: for a connection, a lock, a
 * statement, and (on the server's side) for a client that stopped in the middle of a transaction. What a transaction
 * begins and ends with is in client.ts.
 */
import pg from 'pg'
import { StoreUnavailable } from '../../errors.ts'
import {
  assertTakesWrites,
  clientSettings,
  RelayClient,
  type ConnectionOptions,
  type Queryable,
} from './client.ts'
import type { Target } from './hosts.ts'

export type Client = RelayClient
export type PoolClient = Client & { release(error?: Error): void }
export interface Pool extends Queryable {
  /** A client in a transaction. */
  begin(): Promise<PoolClient>
  end(): Promise<void>
  readonly onFailure: (error: unknown) => void
}

/** For what needs no order. */
export function createPool(options: ConnectionOptions, size: number): Pool {
  const { hosts, onFailure = () => {} } = options
  /** Where a new connection goes. */
  let aim: Target
  const pool = new pg.Pool({
    ...clientSettings(options, () => aim),
    // Its types know clients without settings of their own only.
    Client: RelayClient as unknown as NonNullable<pg.PoolConfig['Client']>,
    max: size,
    allowExitOnIdle: true,
  })
  // A connection that ended is replaced when the next one is needed.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))

  /** Connections that were idle during a failover lead to the old host, where a read would be stale. */
  async function take(target: Target): Promise<PoolClient> {
    for (let idle = size; ; idle--) {
      aim = target
      const client = (await pool.connect()) as unknown as PoolClient
      // The pool may hand out a connection that was made for another client.
      if (client.target.index === target.index || idle === 0) return client
      client.release(new Error('It leads to another host.'))
    }
  }

  async function begin(target: Target): Promise<PoolClient> {
    const client = await take(target)
    try {
      await client.begin()
      return client
    } catch (error) {
      client.release(error as Error)
      throw error
    }
  }

  const own: Pool = {
    begin: () =>
      hosts.dial(begin).catch((error: unknown) => {
        onFailure(error)
        throw error
      }),
    query: (sql, values) => inTransaction(own, (client) => client.query(sql, values)),
    end: () => pool.end(),
    onFailure,
  }
  return own
}

export async function connect(options: ConnectionOptions): Promise<Client> {
  const { hosts } = options
  return hosts.dial(async (target) => {
    const client = new RelayClient(clientSettings(options, () => target))
    client.on('error', () => undefined)
    try {
      await client.connect()
      await assertTakesWrites(hosts, client)
      return client
    } catch (error) {
      await endQuietly(client)
      throw error
    }
  })
}

export async function endQuietly(client: Client): Promise<void> {
  await client.end().catch(() => undefined)
}

/** Ends a dead client without waiting: its server may never answer. */
export function drop(client: Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

/** One transaction on a connection of the pool's. */
export async function inTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.begin()
  let failure: Error | undefined
  try {
    const result = await work(client)
    await client.commit()
    return result
  } catch (error) {
    failure = error as Error
    pool.onFailure(error)
    if (isTimedOut(error)) client.passOver()
    if (!isPlaceAtFault(error)) {
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
 * The server, the connection or another transaction is at fault, not the statement: a retry may succeed. Errors without an
 * SQLSTATE are the connection's, but for an acknowledgement of an event that its batch does not have.
 */
export function isPlaceAtFault(error: unknown): boolean {
  if (error instanceof RangeError) return false
  const code = sqlStateOf(error)
  return code === undefined || PLACE_CLASSES.has(code.slice(0, 2)) || PLACE_STATES.has(code)
}

/** Rejects with STORE_UNAVAILABLE then. */
export async function orUnavailable<Result>(asked: Promise<Result>): Promise<Result> {
  return asked.catch((error: unknown) => {
    throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
  })
}

/** Two transactions waited for each other, or one for too long. */
export function isConflict(error: unknown): boolean {
  return sqlStateOf(error)?.startsWith('40') ?? false
}

/** The connection has died, leads to a server that takes no writes or gives no lock, or is in an unknown state. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof RangeError) return false
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
 * locks for good; the one that waits for such a lock never gets as far as a commit in doubt.
 */
export function isTimedOut(error: unknown): boolean {
  return TIMED_OUT_STATES.has(sqlStateOf(error) ?? '')
}

export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error
    ? error.code
    : undefined
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const PLACE_CLASSES: ReadonlySet<string> = new Set(['08', '28', '3D', '40', '53', '57', '58', 'XX'])
const LOST_STATES: ReadonlySet<string> = new Set(['25P03', '25006'])
/** lock_timeout and statement_timeout. */
const TIMED_OUT_STATES: ReadonlySet<string> = new Set(['55P03', '57014'])
/** A lock that did not come, a read-only server, a client that stopped. */
const PLACE_STATES: ReadonlySet<string> = new Set(['55P03', '25006', '25P03', '25P02'])
