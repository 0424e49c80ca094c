/**
 * Connections, and what their transactions begin and end with. Every wait has an end: for a connection, a lock, a statement,
 * and (on the server's side) for a client that stopped in the middle of a transaction.
 *
 * A pooler between relay and server (PgBouncer) may hand out another session for each transaction. So nothing is set for
 * a session, no startup parameter is used that a pooler refuses, and every transaction sets what it needs (`begin`). Only
 * where the session is the connection's own, statements have names: the server parses and plans them once, which for a small post is
 * half of its work. `commit` alone knows what was committed.
 */
import { Socket } from 'node:net'
import { nextTick } from 'node:process'
import pg from 'pg'
import { StoreCannotOpen } from '../../errors.ts'
import { CommitInDoubt, isConnectionLost, isInDoubt, isTimedOut, ofDatabase } from './failures.ts'
import type { Hosts, Target } from './hosts.ts'
import { SCHEMA_NAME } from './schema.ts'

/** A client in a transaction, or the pool, where each statement is a transaction of its own. */
export interface Queryable {
  /** Sent at once, behind what is not answered yet. `isKept`: one of few texts, asked again and again, whose plan is kept. */
  query<Row extends pg.QueryResultRow>(
    sql: string,
    values?: unknown[],
    isKept?: boolean,
  ): Promise<pg.QueryResult<Row>>
}

export interface Pool extends Queryable {
  /** Runs `work` in one transaction. */
  transact<Result>(work: (client: Queryable) => Promise<Result>): Promise<Result>
  end(): Promise<void>
}

export interface ConnectionOptions {
  readonly hosts: Hosts
  readonly applicationName: string
  /** How long a statement may take. */
  readonly statementMs?: number
  /** How long a client may stop within a transaction. */
  readonly stoppedClientMs?: number
  /**
   * A plan that is kept must suit a table that has grown since: never a scan of the whole. Where it joins a table to what is given,
   * it has the keys as a condition as well, or it could read all of a small table's index.
   */
  readonly keepsPlans?: boolean
  /** Connect also to an only host that takes no writes. */
  readonly isForReads?: boolean
  /** Once aborted, each connection is cut, whatever it waits for, and none is made. */
  readonly signal?: AbortSignal | undefined
}

export const CONNECT_MS = 3000
/** How long nothing connects after a failure: a database that is starting must not be flooded with connections. */
const REST_MS = 250
/** Of the shortest time after which load balancers and NAT forget a connection that is idle, 4 minutes: by default it is 2 hours. */
const KEEP_ALIVE_MS = 30_000
const LOCK_MS = 5000
export const STATEMENT_MS = 20_000
/** Beyond the server's own limit: only a dead connection takes so long. */
const PATIENCE_MS = 2000
/** Less than LOCK_MS: a suspended replica's locks must be free before others give up. */
const STOPPED_CLIENT_MS = 3000

const types = new pg.TypeOverrides()
// bigint: ids and times stay far below 2^53.
types.setTypeParser(pg.types.builtins.INT8, Number)

/** One pool per host: after a failover, idle connections lead to the old host, where a read would be stale. */
export function createPool(options: ConnectionOptions, size: number): Pool {
  const { hosts, applicationName, statementMs = STATEMENT_MS, signal } = options
  // However long its statements may take.
  const commitMs = Math.min(statementMs, STATEMENT_MS) + PATIENCE_MS
  const pools = new Map<Target, pg.Pool>()

  function poolOf(target: Target): pg.Pool {
    const known = pools.get(target)
    if (known !== undefined) return known
    const { host, port, ssl } = target
    const pool = new pg.Pool({
      application_name: applicationName,
      connectionTimeoutMillis: CONNECT_MS,
      ...hosts.login,
      host,
      port,
      ssl,
      query_timeout: statementMs + PATIENCE_MS,
      // Cuts connections that are still being made, too.
      stream: () => new Socket({ signal }),
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      types,
      // Or each statement would wait for the answer of the one before.
      pipeline: true,
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

  async function connect(target: Target) {
    signal?.throwIfAborted()
    const client = await poolOf(target).connect()
    try {
      await begin(client, options)
      return { client, target }
    } catch (error) {
      client.release(error as Error)
      throw error
    }
  }

  let failed: { readonly atMs: number; readonly error: unknown } | undefined
  async function dial() {
    if (failed !== undefined && performance.now() - failed.atMs < REST_MS) throw failed.error
    try {
      return await ofDatabase(hosts.dial(connect))
    } catch (error) {
      failed = { atMs: performance.now(), error }
      throw error
    }
  }

  const own: Pool = {
    async transact(work) {
      const { client, target } = await dial()
      const asked: Promise<unknown>[] = []
      let failure: Error | undefined
      try {
        const result = await work({
          query: (text, values, isKept) => {
            const one = ofDatabase(ask<pg.QueryResultRow>(client, text, values, isKept))
            asked.push(one)
            return one as never
          },
        })
        // Behind what is not answered yet: where that fails, the server rolls back.
        await Promise.all([...asked, ofDatabase(commit(client, commitMs))])
        return result
      } catch (error) {
        if (isTimedOut(error) || isInDoubt(error)) hosts.passOver(target)
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
    },
    query: (sql, values) => own.transact((client) => client.query(sql, values)),
    end: async () => void (await Promise.all(Array.from(pools.values(), (pool) => pool.end()))),
  }
  return own
}

const ask = <Row extends pg.QueryResultRow>(
  client: pg.PoolClient,
  text: string,
  values: unknown[] = [],
  isKept = false,
): Promise<pg.QueryResult<Row>> => {
  // What is asked together leaves in one write: each takes as long as all that the driver does for a statement.
  const { stream } = (client as pg.PoolClient & Pick<pg.Client, 'connection'>).connection
  stream.cork()
  nextTick(() => stream.uncork())
  if (isKept && isOwn.get(client)) return client.query<Row>({ name: nameOf(text), text, values })
  return client.query<Row>(text, values)
}

/** `remote_write` and `local` sync this server's disk as well; they differ in what they ask of the standby. */
const DURABLE: ReadonlySet<string> = new Set(['on', 'remote_apply', 'remote_write', 'local'])
/** Of a connection that was checked: whether its session serves nobody else, as it may behind a pooler. */
const isOwn = new WeakMap<pg.PoolClient, boolean>()

const names = new Map<string, string>()

/** Begins as the text does: it is what can be seen of a statement on the wire and in `pg_prepared_statements`. */
function nameOf(text: string): string {
  const name = names.get(text) ?? `${text.trim().slice(0, NAME_LENGTH)} ${names.size}`
  names.set(text, name)
  return name
}

/** PostgreSQL cuts names at 63 bytes. */
const NAME_LENGTH = 48

/**
 * One round trip. Rejects where a commit would not be synced, by the server's setting or by what another client of a
 * pooler left, and where the server takes no writes.
 */
async function begin(
  client: pg.PoolClient,
  {
    hosts,
    isForReads = false,
    keepsPlans = false,
    statementMs = STATEMENT_MS,
    stoppedClientMs = STOPPED_CLIENT_MS,
  }: ConnectionOptions,
): Promise<void> {
  /** They override settings of the role, the database and other clients of a pooler. */
  const local: Readonly<Record<string, string>> = {
    transaction_isolation: 'read committed',
    search_path: SCHEMA_NAME,
    statement_timeout: String(statementMs),
    lock_timeout: String(LOCK_MS),
    idle_in_transaction_session_timeout: String(stoppedClientMs),
    // Or the warning of a commit in doubt is not sent.
    client_min_messages: 'notice',
    ...(keepsPlans && { enable_seqscan: 'off' }),
  }
  // SHOW, since a SELECT would take the snapshot of a transaction that has its isolation still to set.
  const sql = [
    'BEGIN',
    ...Object.entries(local).map(([name, value]) => `SET LOCAL ${name} = '${value}'`),
    'SHOW synchronous_commit',
    'SHOW transaction_read_only',
  ]
  // Several statements have several results, of which pg's types know one.
  const results = (await client.query(sql.join('; '))) as unknown as readonly pg.QueryResult<object>[]
  const shown = Object.assign({}, ...results.map(({ rows }) => rows[0])) as Record<string, string>
  const { synchronous_commit: synchronousCommit, transaction_read_only: readOnly } = shown
  if (!DURABLE.has(synchronousCommit!)) {
    throw new StoreCannotOpen(
      `PostgreSQL has synchronous_commit = ${synchronousCommit}: what it commits could be lost. It must be on, remote_apply, remote_write or local.`,
    )
  }
  if (readOnly === 'on' && (hosts.count > 1 || !isForReads)) {
    throw new StoreCannotOpen('PostgreSQL takes no writes here: it is a standby or read only.')
  }
  if (!isOwn.has(client)) isOwn.set(client, (await assertKeeps(client, local)) === processOf(client))
}

/** As the server said when it was connected to. A pooler says something else. */
function processOf(client: pg.PoolClient): number {
  return (client as unknown as { readonly processID: number }).processID
}

/** Throws where the pooler drops the settings, or where the server may lose commits in a power cut. Answers the server's process. */
async function assertKeeps(client: Queryable, local: Readonly<Record<string, string>>): Promise<number> {
  const { rows } = await client.query<{ name: string; setting: string; process: number }>(
    'SELECT name, setting, pg_backend_pid() AS process FROM pg_settings WHERE name = ANY($1)',
    [[...Object.keys(local), 'fsync']],
  )
  const found = new Map(rows.map(({ name, setting }) => [name, setting]))
  if (found.get('fsync') !== 'on')
    throw new StoreCannotOpen('PostgreSQL has fsync off: what it commits could be lost. Turn it on.')
  const lost = Object.keys(local).find((name) => found.get(name) !== local[name])
  if (lost !== undefined) {
    throw new StoreCannotOpen(
      `PostgreSQL does not keep ${lost} for a transaction: what is between relay and server must pool sessions or transactions.`,
    )
  }
  return rows[0]!.process
}

const NO_WARNING_CLASS = '00'
const IN_DOUBT = 'a commit was not confirmed: is the synchronous standby away?'

/**
 * Rejects with COMMIT_IN_DOUBT where it succeeds with a warning, or is not answered in time. PostgreSQL gives a warning,
 * and no error, when somebody cancels the wait for a synchronous standby (`SyncRepWaitForLSN`); its own time limits do
 * not end that wait.
 */
async function commit(client: pg.PoolClient, limitMs: number): Promise<void> {
  let isWarned = false
  const onNotice = ({ code = '' }: { code?: string | undefined }) => {
    if (!code.startsWith(NO_WARNING_CLASS)) isWarned = true
  }
  client.on('notice', onNotice)
  try {
    const { command } = await client.query({ text: 'COMMIT', query_timeout: limitMs } as pg.QueryConfig)
    // COMMIT of a failed transaction rolls it back without an error.
    if (isWarned || command !== 'COMMIT') throw new CommitInDoubt(IN_DOUBT)
  } catch (error) {
    // Thrown by `pg`.
    const isTimeout = error instanceof Error && error.message === 'Query read timeout'
    throw isTimeout ? new CommitInDoubt(IN_DOUBT, { cause: error }) : error
  } finally {
    client.off('notice', onNotice)
  }
}
