/**
 * A client of the database, and what its transactions begin and end with.
 *
 * A pooler between relay and server (PgBouncer) may hand out another session for each transaction. So nothing is set for
 * a session, no startup parameter is used that a pooler refuses, and every transaction sets what it needs (`begin`). Only
 * `commit` knows what was committed.
 */
import pg from 'pg'
import { StoreCannotOpen } from '../../errors.ts'
import type { Hosts, Target } from './hosts.ts'
import { SCHEMA_NAME } from './schema.ts'

/** A client in a transaction, or the pool, where each statement is a transaction of its own. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<pg.QueryResult<Row>>
}

export interface ConnectionOptions {
  readonly hosts: Hosts
  readonly applicationName: string
  /** How long a statement may take. */
  readonly statementMs?: number
  /** Connect also to an only host that takes no writes. */
  readonly isForReads?: boolean
}

export interface ClientSettings extends pg.ClientConfig {
  readonly target: Target
  /** `pg` has a `connection` of its own. */
  readonly relayOptions: ConnectionOptions
}

/** The types of `pg` list some ids only. */
type GetParser = (oid: number, format: string) => (text: string) => unknown

const CONNECT_MS = 3000
const LOCK_MS = 5000
export const STATEMENT_MS = 20_000
/** Beyond the server's own limit: only a dead connection takes so long. */
const PATIENCE_MS = 2000
/** Less than LOCK_MS: a suspended replica's locks must be free before others give up. */
const STOPPED_CLIENT_MS = 3000
/** bigint: ids and times stay far below 2^53. */
const INT8_OID = 20

/** It is unknown whether the transaction was committed, or whether the synchronous standby has it. */
export class CommitInDoubt extends Error {
  readonly code = 'COMMIT_IN_DOUBT'
}

export class RelayClient extends pg.Client {
  readonly #settings: ClientSettings
  #isChecked = false

  constructor(settings: ClientSettings) {
    super(settings)
    this.#settings = settings
  }

  /**
   * One round trip. Rejects where a commit would not be synced, by the server's setting or by what another client of a
   * pooler left, and where the server takes no writes.
   */
  async begin(): Promise<void> {
    const { hosts, isForReads = false, statementMs = STATEMENT_MS } = this.#settings.relayOptions
    const local = localSettings(statementMs)
    // SHOW, since a SELECT would take the snapshot of a transaction that has its isolation still to set.
    const sql = [
      'BEGIN',
      ...Object.entries(local).map(([name, value]) => `SET LOCAL ${name} = '${value}'`),
      'SHOW synchronous_commit',
      'SHOW transaction_read_only',
    ]
    // Several statements have several results, of which pg's types know one.
    const results = (await this.query(sql.join('; '))) as unknown as readonly pg.QueryResult<object>[]
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
    if (!this.#isChecked) await assertKeeps(this, local)
    this.#isChecked = true
  }

  /**
   * Rejects with COMMIT_IN_DOUBT where it succeeds with a warning, or is not answered in time. PostgreSQL gives a warning,
   * and no error, when somebody cancels the wait for a synchronous standby (`SyncRepWaitForLSN`); its own time limits do
   * not end that wait.
   */
  async commit(): Promise<void> {
    let isWarned = false
    const onNotice = ({ code = '' }: { code?: string | undefined }) => {
      if (!code.startsWith(NO_WARNING_CLASS)) isWarned = true
    }
    this.on('notice', onNotice)
    try {
      const { command } = await this.query('COMMIT')
      // COMMIT of a failed transaction rolls it back without an error.
      if (isWarned || command !== 'COMMIT') throw new CommitInDoubt(IN_DOUBT)
    } catch (error) {
      const failure = isTimeout(error) ? new CommitInDoubt(IN_DOUBT, { cause: error }) : error
      if (failure instanceof CommitInDoubt) this.passOver()
      throw failure
    } finally {
      this.off('notice', onNotice)
    }
  }

  /** The server did not confirm a write: new connections begin with the next host. */
  passOver(): void {
    this.#settings.relayOptions.hosts.passOver(this.#settings.target)
  }
}

const NO_WARNING_CLASS = '00'
const IN_DOUBT = 'a commit was not confirmed: is the synchronous standby away?'

/** `remote_write` and `local` sync this server's disk as well; they differ in what they ask of the standby. */
const DURABLE: ReadonlySet<string> = new Set(['on', 'remote_apply', 'remote_write', 'local'])

/** Thrown by `pg`. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout'
}

export function clientSettings(relayOptions: ConnectionOptions, target: Target): ClientSettings {
  return {
    application_name: relayOptions.applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    ...relayOptions.hosts.login,
    host: target.host,
    port: target.port,
    ssl: target.ssl,
    query_timeout: (relayOptions.statementMs ?? STATEMENT_MS) + PATIENCE_MS,
    keepAlive: true,
    types: {
      getTypeParser: ((oid: number, format: 'text') =>
        oid === INT8_OID
          ? Number
          : (pg.types.getTypeParser as GetParser)(oid, format)) as typeof pg.types.getTypeParser,
    },
    relayOptions,
    target,
  }
}

/** They override settings of the role, the database and other clients of a pooler. */
function localSettings(statementMs: number): Readonly<Record<string, string>> {
  return {
    transaction_isolation: 'read committed',
    search_path: SCHEMA_NAME,
    statement_timeout: String(statementMs),
    lock_timeout: String(LOCK_MS),
    idle_in_transaction_session_timeout: String(STOPPED_CLIENT_MS),
    // Or the warning of a commit in doubt is not sent.
    client_min_messages: 'notice',
  }
}

/** Throws where the pooler drops the settings, or where the server may lose commits in a power cut. */
async function assertKeeps(client: Queryable, local: Readonly<Record<string, string>>): Promise<void> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
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
}
