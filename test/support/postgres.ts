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
  ask<Row extends pg.QueryResultRow>(sql: string, values?: unknown[], url?: string): Promise<Row[]>
  close(): Promise<void>
}

export interface StoppablePostgres extends PostgresServer {
  stop(): Promise<void>
  start(): Promise<void>
}

export async function startPostgres(): Promise<PostgresServer> {
  const given = process.env['DATABASE_URL_TEST'] ?? process.env['PINRELAY_TEST_POSTGRES']
  return given === undefined ? startStoppablePostgres() : connectPostgres(given)
}

/** A server that no other test uses. */
export async function startStoppablePostgres(): Promise<StoppablePostgres> {
  const own = await startOwnPostgres()
  const server = connectPostgres(own.url)
  return {
    ...server,
    stop: own.stop,
    start: own.start,
    close: own.close,
  }
}

function connectPostgres(url: string): PostgresServer {
  const databases = new Set<string>()
  return {
    url,
    async createDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`
      await ask(url, `CREATE DATABASE ${name}`)
      databases.add(name)
      const own = new URL(url)
      own.pathname = `/${name}`
      return own.href
    },
    ask: (sql, values, at = url) => ask(at, sql, values),
    async close() {
      for (const name of databases) await ask(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      databases.clear()
    },
  }
}

async function ask<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values?: unknown[],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(sql, values)).rows
  } finally {
    await client.end()
  }
}
