/**
 * Connections: how they are made, and whose fault an error is. Every wait has an end: for a connection, a lock, a
 * statement, and (on the server's side) for a client that stopped in the middle of a transaction.
 */
import pg from 'pg'
import { StoreCannotOpen } from '../../errors.ts'
import { SCHEMA_NAME } from './schema.ts'

export type Client = pg.Client
export type Pool = pg.Pool
/** What can be asked: a client or the pool. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<pg.QueryResult<Row>>
}

export interface ConnectionOptions {
  /** `postgres://…`; TLS as its `sslmode` says. */
  readonly url: string
  readonly applicationName: string
  /** How long a statement may take. */
  readonly statementMs?: number
}

/** As it is asked; its own types know some of the types only. */
type GetParser = (oid: number, format: string) => (text: string) => unknown

const CONNECT_MS = 3000
const LOCK_MS = 5000
const STATEMENT_MS = 20_000
/** Beyond what the server allows a statement: only a connection that died without a word takes so long. */
const PATIENCE_MS = 2000
/** Less than LOCK_MS: what a stopped replica holds must be free before others give up on it. */
const STOPPED_CLIENT_MS = 3000
/** bigint: ids and times stay far below 2^53. */
const INT8_OID = 20

export function settingsOf({
  url,
  applicationName,
  statementMs = STATEMENT_MS,
}: ConnectionOptions): pg.ClientConfig {
  return {
    connectionString: withSearchPath(url),
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: statementMs,
    lock_timeout: LOCK_MS,
    query_timeout: statementMs + PATIENCE_MS,
    idle_in_transaction_session_timeout: STOPPED_CLIENT_MS,
    keepAlive: true,
    types: {
      getTypeParser: ((oid: number, format: 'text') =>
        oid === INT8_OID
          ? Number
          : (pg.types.getTypeParser as GetParser)(oid, format)) as typeof pg.types.getTypeParser,
    },
  }
}

/** What an URL says wins over what the client says: so it is added to what the URL has. */
function withSearchPath(url: string): string {
  const own = new URL(url)
  const given = own.searchParams.get('options')
  const search = `-c search_path=${SCHEMA_NAME}`
  own.searchParams.set('options', given === null ? search : `${given} ${search}`)
  // Spaces as `+` are not understood there.
  return own.href.replaceAll('+', '%20')
}

/** For what needs no order. */
export function createPool(options: ConnectionOptions, size: number): Pool {
  const pool = new pg.Pool({ ...settingsOf(options), max: size, allowExitOnIdle: true })
  // A connection that ends is replaced by the next one who asks: idle, or in use, when its query tells.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

export async function connect(options: ConnectionOptions): Promise<Client> {
  const client = new pg.Client(settingsOf(options))
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    await endQuietly(client)
    throw error
  }
}

export async function endQuietly(client: Client): Promise<void> {
  await client.end().catch(() => undefined)
}

/** A client that is done for: not waited for, since its server may never answer. */
export function drop(client: Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

/** One transaction on a connection of the pool's. */
export async function inTransaction<Result>(
  pool: Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    failure = error as Error
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

/** What a 2xx means needs both; a server that forgets on a power cut is refused at the start. */
export async function assertDurable(client: Queryable): Promise<void> {
  const { rows } = await client.query<{ fsync: string; commit: string; read_only: string }>(
    `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
       current_setting('transaction_read_only') AS read_only`,
  )
  const { fsync, commit, read_only: readOnly } = rows[0]!
  if (readOnly === 'on')
    throw new StoreCannotOpen('PostgreSQL takes no writes here: it is a standby or read only.')
  if (fsync !== 'on')
    throw new StoreCannotOpen('PostgreSQL has fsync off: what it commits could be lost. Turn it on.')
  if (!DURABLE.has(commit)) {
    throw new StoreCannotOpen(
      `PostgreSQL has synchronous_commit = ${commit}: what it commits could be lost. It must be on, remote_apply, remote_write or local.`,
    )
  }
}

/** `remote_write` and `local` sync this server's disk as well; the standby is what they are laxer about. */
const DURABLE: ReadonlySet<string> = new Set(['on', 'remote_apply', 'remote_write', 'local'])

/**
 * The server, the connection or another transaction is at fault, not the statement: asked again, it may well work.
 * Everything without an SQLSTATE is of the connection.
 */
export function isPlaceAtFault(error: unknown): boolean {
  const code = sqlStateOf(error)
  return code === undefined || PLACE_CLASSES.has(code.slice(0, 2)) || PLACE_STATES.has(code)
}

/** Two transactions waited for each other, or one for too long. */
export function isConflict(error: unknown): boolean {
  return sqlStateOf(error)?.startsWith('40') ?? false
}

/** The connection is of no use any more, or nobody knows. */
export function isConnectionLost(error: unknown): boolean {
  const code = sqlStateOf(error)
  return code === undefined || code.startsWith('08') || code.startsWith('57P') || code === '25P03'
}

function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error
    ? error.code
    : undefined
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const PLACE_CLASSES: ReadonlySet<string> = new Set(['08', '28', '3D', '40', '53', '57', '58', 'XX'])
/** A lock that did not come, a read-only server, a client that stopped. */
const PLACE_STATES: ReadonlySet<string> = new Set(['55P03', '25006', '25P03', '25P02'])
