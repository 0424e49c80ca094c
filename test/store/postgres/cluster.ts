/**
 * A cluster of Debian's PostgreSQL, and its PgBouncer, for what a shared server cannot show: an absent standby, a read-only
 * host, TLS, a full tablespace. Neither runs as root, so root lends them the user `postgres`.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import tap, { type Test } from 'tap'
import { until } from '../../support/clock.ts'
import { atExit } from '../../support/at-exit.ts'
import { openFolderFor } from '../../support/own-postgres.ts'
import { findFreePort } from '../../support/ports.ts'
import { debianPostgres, debianPostgresMissing } from '../../support/debian-postgres.ts'

const PGBOUNCER = '/usr/sbin/pgbouncer'
/** As it is, and as it is written in a URL. */
const PASSWORD = 'a+b/c@d%e'
const ESCAPED_PASSWORD = 'a+b%2Fc%40d%25e'
const run = promisify(execFile)

export function pgBouncerMissing(): string | false {
  return debianPostgresMissing() || (!existsSync(PGBOUNCER) && 'PgBouncer is not installed')
}

export interface Cluster {
  readonly port: number
  /** Of its socket. */
  readonly folder: string
  /** `postgres://…` without database and query, over TCP. */
  readonly base: string
  readonly user: { readonly uid: number; readonly gid: number } | Record<string, never>
  ask<Row extends pg.QueryResultRow>(sql: string, database?: string, at?: number): Promise<Row[]>
  /** A database's name. */
  createDatabase(options?: string): Promise<string>
  /** For `ALTER SYSTEM`. Resolves when every session's next statement is under the new settings. */
  reload(settings: Readonly<Record<string, string>>): Promise<void>
}

let ofProcess: Promise<Cluster> | undefined

/** One for all files of the process: making it takes longer than most tests. Who changes a setting resets it. */
export function shareCluster(): Promise<Cluster> {
  return (ofProcess ??= startCluster(tap))
}

async function startCluster(t: Pick<Test, 'teardown'>): Promise<Cluster> {
  const user = whoRuns()
  const { path: folder, remove } = openFolderFor(user)
  t.teardown(remove)
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, PASSWORD)
  giveTo(user, passwordFile)
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
  await run(debianPostgres('initdb'), [...initdb, '--no-sync', '--encoding=UTF8', '--locale=C'], user)
  const flags = ['max_wal_senders=2', 'wal_level=replica']
  const port = await startServer(t, { data, folder, user, flags })
  const base = `postgres://postgres:${ESCAPED_PASSWORD}@127.0.0.1:${port}`

  const ask: Cluster['ask'] = async (sql, database = 'postgres', at = port) => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: at,
      user: 'postgres',
      password: PASSWORD,
      database,
    })
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }
  let databases = 0
  return {
    port,
    folder,
    base,
    user,
    ask,
    async createDatabase(options = '') {
      const name = `test_${++databases}`
      await ask(`CREATE DATABASE ${name} ${options}`)
      return name
    },
    async reload(settings) {
      for (const [name, value] of Object.entries(settings)) await ask(`ALTER SYSTEM SET ${name} = '${value}'`)
      await ask('SELECT pg_reload_conf()')
      for (const [name, value] of Object.entries(settings)) {
        await until(async () => (await ask<Record<string, string>>(`SHOW ${name}`))[0]![name] === value)
      }
      const standbys = settings['synchronous_standby_names']
      if (standbys !== undefined) {
        await until(async () => (await commitWaits(ask)) === (standbys !== ''))
      }
    },
  }
}

/**
 * Whether a commit waits for a standby that is away. What sessions go by is written by the checkpointer, some time after
 * a new session shows the setting.
 */
async function commitWaits(ask: Cluster['ask']): Promise<boolean> {
  const probe = "SELECT pg_logical_emit_message(true, 'probe', '')"
  let isAnswered = false
  const answered = ask(probe).finally(() => (isAnswered = true))
  while (!isAnswered) {
    const cancelled = await ask(
      `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%''probe''%'`,
    )
    if (cancelled.length > 0) {
      await answered
      return true
    }
  }
  await answered
  return false
}

interface ServerOptions {
  readonly data: string
  /** Of its socket and its log. */
  readonly folder: string
  readonly user: Cluster['user']
  readonly flags: readonly string[]
}

async function startServer(
  t: Pick<Test, 'teardown'>,
  { data, folder, user, flags }: ServerOptions,
): Promise<number> {
  const port = await findFreePort()
  const options = [
    `-p ${port} -k '${folder}' -c listen_addresses=127.0.0.1 -c shared_buffers=8MB -c max_connections=60`,
    ...flags.map((flag) => `-c ${flag}`),
  ]
  const pgCtl = (...words: string[]) =>
    // Without pipes: the server would keep them open.
    new Promise<void>((resolve, reject) => {
      const child = spawn(debianPostgres('pg_ctl'), ['-D', data, '-w', ...words], {
        ...user,
        stdio: 'ignore',
      })
      child.on('error', reject)
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`pg_ctl ${words[0]}: ${code}`))))
    })
  await pgCtl('start', '-l', join(folder, `log-${port}`), '-o', options.join(' '))
  const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
  const forget = atExit(() => process.kill(pid, 'SIGQUIT'))
  t.teardown(async () => {
    forget()
    await pgCtl('stop', '-m', 'immediate').catch(() => undefined)
  })
  return port
}

/** An asynchronous standby of the cluster. Answers its port. */
export async function startStandby(t: Test, { folder, port, user }: Cluster): Promise<number> {
  const data = mkdtempSync(join(folder, 'standby-'))
  giveTo(user, data)
  const from = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres']
  const copy = ['-D', data, ...from, '-X', 'fetch', '-c', 'fast']
  await run(debianPostgres('pg_basebackup'), [...copy, '--no-sync', '-R'], {
    ...user,
    env: { PGPASSWORD: PASSWORD },
  })
  return startServer(t, { data, folder, user, flags: [] })
}

/** Answers the URL of one of the cluster's databases through it. */
export async function startPgBouncer(
  t: Test,
  cluster: Cluster,
  poolMode: 'session' | 'transaction' | 'statement',
  database: string,
): Promise<string> {
  const port = await findFreePort()
  const folder = join(cluster.folder, `pgbouncer-${port}`)
  mkdirSync(folder)
  // The password of the server as it is; the relay's own is not asked for.
  writeFileSync(join(folder, 'users'), `"postgres" "${PASSWORD}"\n`)
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    `[databases]
${database} = host='${cluster.folder}' port=${cluster.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${join(folder, 'users')}
pool_mode = ${poolMode}
default_pool_size = 20
`,
  )
  for (const path of [folder, join(folder, 'users'), join(folder, 'pgbouncer.ini')])
    giveTo(cluster.user, path)
  const child = spawn(PGBOUNCER, [join(folder, 'pgbouncer.ini')], {
    ...cluster.user,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  void ended.finally(atExit(() => child.kill('SIGKILL')))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`PgBouncer ended with ${code}`)))
    child.stderr.on('data', (text: Buffer) => {
      if (text.includes('process up')) resolve()
    })
  })
  return `postgres://postgres:${ESCAPED_PASSWORD}@127.0.0.1:${port}/${database}`
}

export function giveTo(user: Cluster['user'], path: string): void {
  if (user.uid !== undefined) chownSync(path, user.uid, user.gid)
}

function whoRuns(): Cluster['user'] {
  if (process.getuid?.() !== 0) return {}
  const ask = (option: string) => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))
  return { uid: ask('-u'), gid: ask('-g') }
}
