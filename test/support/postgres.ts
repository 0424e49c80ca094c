/**
 * A real PostgreSQL for tests, with a fresh database for whoever asks. One server serves the whole run of `npm test`
 * (PINRELAY_TEST_POSTGRES); a file that runs alone starts one of its own. DATABASE_URL_TEST names another server to be used
 * instead, with the right to create databases.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { startOwnPostgres } from './own-postgres.ts'

export interface PostgresServer {
  /** Of the database that is always there. */
  readonly url: string
  /** A new database's URL; `close` drops it. */
  createDatabase(): Promise<string>
  /** The URL of a database without rows of a relay's, until it is given back; its tables may be there. */
  borrowDatabase(): Promise<string>
  /** Nobody of this process is connected to it any more. */
  giveBackDatabase(url: string): void
  ask<Row extends pg.QueryResultRow>(sql: string, values?: unknown[], url?: string): Promise<Row[]>
  close(): Promise<void>
}

export interface StoppablePostgres extends PostgresServer {
  stop(): Promise<void>
  start(): Promise<void>
  cpuSeconds(): number
}

/** How this file's own connections are called. */
const ASKING = 'asks'
/** To make a database and its tables costs the server thirty times as much. What the server still does for others ends first. */
const EMPTY = `
  SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> '${ASKING}';
  DO $$
  DECLARE name text;
  BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'pinrelay' AND tablename NOT LIKE '%_version' LOOP
      EXECUTE format('DELETE FROM pinrelay.%I', name);
    END LOOP;
  END $$`

/** Of the run: its databases are removed with it. One for all files of this process, so that they lend each other theirs. */
let ofRun: PostgresServer | undefined

export async function startPostgres(): Promise<PostgresServer> {
  const { DATABASE_URL_TEST: given, PINRELAY_TEST_POSTGRES: run } = process.env
  if (given !== undefined) return connectPostgres(given)
  if (run === undefined) return startStoppablePostgres()
  return (ofRun ??= { ...connectPostgres(run), close: () => Promise.resolve() })
}

/** A server that no other test uses. */
export async function startStoppablePostgres(
  options: Parameters<typeof startOwnPostgres>[0] = {},
): Promise<StoppablePostgres> {
  const own = await startOwnPostgres(options)
  const server = connectPostgres(own.url)
  return {
    ...server,
    stop: own.stop,
    start: own.start,
    cpuSeconds: own.cpuSeconds,
    close: own.close,
  }
}

function connectPostgres(url: string): PostgresServer {
  const databases = new Set<string>()
  const givenBack: string[] = []

  async function createDatabase(): Promise<string> {
    const name = `test_${randomBytes(6).toString('hex')}`
    await ask(url, `CREATE DATABASE ${name}`)
    databases.add(name)
    const own = new URL(url)
    own.pathname = `/${name}`
    return own.href
  }

  return {
    url,
    createDatabase,
    async borrowDatabase() {
      const used = givenBack.pop()
      if (used === undefined) return createDatabase()
      await ask(used, EMPTY)
      return used
    },
    giveBackDatabase: (used) => void givenBack.push(used),
    ask: (sql, values, at = url) => ask(at, sql, values),
    async close() {
      for (const name of databases) await ask(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      databases.clear()
    },
  }
}

/** Connections that wait for the next question to their database: a new one costs the server 4 ms. They keep no process alive. */
const idle = new Map<string, Client[]>()
/** @types/pg leaves these out. */
type Client = pg.Client & { ref(): void; unref(): void }

async function ask<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values?: unknown[],
): Promise<Row[]> {
  const client = idle.get(url)?.pop() ?? (await connect(url))
  client.ref()
  try {
    const { rows } = await client.query<Row>(sql, values)
    idle.set(url, [...(idle.get(url) ?? []), client])
    return rows
  } catch (error) {
    await client.end()
    throw error
  } finally {
    client.unref()
  }
}

async function connect(url: string): Promise<Client> {
  const client = new pg.Client({ connectionString: url, application_name: ASKING }) as Client
  const forget = () => void idle.set(url, idle.get(url)?.filter((other) => other !== client) ?? [])
  client.on('error', forget).on('end', forget)
  await client.connect()
  return client
}
