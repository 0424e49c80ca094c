/**
 * Two of Debian's PostgreSQL: a primary that waits for its synchronous standby. One can be killed, the other promoted, and
 * the one that was killed started again by itself or made the standby of the other. Both keep their ports.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { debianPostgres } from '../test/support/debian-postgres.ts'
import { atExit } from '../test/support/at-exit.ts'
import { findIdentity, openFolderFor, type Identity } from '../test/support/own-postgres.ts'
import { findFreePort } from '../test/support/ports.ts'

export interface Server {
  readonly port: number
  ask<Row extends pg.QueryResultRow>(sql: string, database?: string): Promise<Row[]>
  /** SIGKILL to the postmaster and all that it has started. */
  kill(): Promise<void>
  /** As it was when it was killed: primary or standby. */
  start(): Promise<void>
  /** A standby becomes a primary that waits for nobody: there is nobody. */
  promote(): Promise<void>
  /** Made the standby of another, which waits for it from then on. */
  follow(primary: Server, by: 'pg_basebackup' | 'pg_rewind'): Promise<void>
  /** Commits wait for a standby, or for nobody. */
  waitForStandby(waits: boolean): Promise<void>
}

export interface PostgresPair {
  readonly servers: readonly [Server, Server]
  close(): Promise<void>
}

interface Place {
  readonly folder: string
  readonly user: Identity
}

const STANDBY_NAME = 'standby'
const START_MS = 30_000
const PROGRAM_MS = 60_000
const LOG_KEPT = 4000
const run = promisify(execFile)

/** The first one is the primary, the second one its standby. */
export async function startPostgresPair(): Promise<PostgresPair> {
  const user = await findIdentity()
  const { path: folder, remove } = openFolderFor(user)
  const servers = [
    await createServer({ folder, user }, 'a'),
    await createServer({ folder, user }, 'b'),
  ] as const
  const forget = atExit(() => servers.forEach((server) => server.stopNow()))
  async function close(): Promise<void> {
    forget()
    await Promise.all(servers.map((server) => server.stop()))
    remove()
  }
  try {
    await servers[0].initialize()
    await servers[0].start()
    await servers[1].follow(servers[0], 'pg_basebackup')
  } catch (error) {
    await close()
    throw error
  }
  return { servers, close }
}

interface OwnServer extends Server {
  initialize(): Promise<void>
  stop(): Promise<void>
  stopNow(): void
}

async function createServer({ folder, user }: Place, name: string): Promise<OwnServer> {
  const data = join(folder, `data-${name}`)
  const configFile = join(folder, `${name}.conf`)
  const port = await findFreePort()
  let child: ChildProcess | undefined

  const program = (file: string, ...words: string[]) =>
    run(debianPostgres(file), words, { ...user, cwd: folder, timeout: PROGRAM_MS })

  function configure(waits: boolean): void {
    const settings = {
      ...SETTINGS,
      port,
      data_directory: data,
      hba_file: join(data, 'pg_hba.conf'),
      ident_file: join(data, 'pg_ident.conf'),
      synchronous_standby_names: waits ? STANDBY_NAME : '',
    }
    const lines = Object.entries(settings).map(([key, value]) => `${key} = '${value}'`)
    writeFileSync(configFile, `${lines.join('\n')}\n`)
    if (user.uid !== undefined) chownSync(configFile, user.uid, user.gid!)
  }

  const ask: Server['ask'] = async (sql, database = 'postgres') => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      database,
      query_timeout: 20_000,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return (await client.query(sql)).rows
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  async function start(): Promise<void> {
    // Until the last child of one that was killed is gone, its shared memory is in use.
    for (;;) {
      const log = await tryStart()
      if (log === undefined) return
      if (!log.includes('shared memory block')) throw new Error(`PostgreSQL did not start: ${log}`)
      await delay(100)
    }
  }

  /** Answers what it said where it ended instead. */
  async function tryStart(): Promise<string | undefined> {
    let log = ''
    const started = spawn(debianPostgres('postgres'), ['-D', data, '-c', `config_file=${configFile}`], {
      ...user,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child = started
    started.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-LOG_KEPT)))
    await until(`PostgreSQL ${name} is up`, async () => {
      return started.exitCode !== null || /ready to accept( read-only)? connections/.test(log)
    })
    return started.exitCode === null ? undefined : log
  }

  function isRunning(): boolean {
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Its children end without it, but only when they check. */
  async function kill(): Promise<void> {
    if (!isRunning()) return
    const ended = once(child!, 'exit')
    const pids = childrenOf(child!.pid!)
    child!.kill('SIGKILL')
    for (const pid of pids) killQuietly(pid)
    await ended
  }

  /** Ends at once as well, but gives its shared memory back. */
  async function stop(): Promise<void> {
    if (!isRunning()) return
    const ended = once(child!, 'exit')
    child!.kill('SIGQUIT')
    await ended
  }

  async function waitForStandby(waits: boolean): Promise<void> {
    configure(waits)
    await ask('SELECT pg_reload_conf()')
    await until('the setting counts', async () => {
      const [shown] = await ask<Record<string, string>>('SHOW synchronous_standby_names')
      return (shown!['synchronous_standby_names'] !== '') === waits
    })
  }

  return {
    port,
    ask,
    kill,
    stop,
    stopNow: () => void (isRunning() && child!.kill('SIGQUIT')),
    start,
    waitForStandby,
    async initialize() {
      const flags = ['--no-sync', '--encoding=UTF8', '--locale=C', '--username=postgres', '--auth=trust']
      // Without checksums pg_rewind does not know which pages a hint alone has changed.
      await program('initdb', ...flags, '--data-checksums', '-D', data)
      configure(false)
    },
    async promote() {
      configure(false)
      await ask('SELECT pg_reload_conf()')
      await ask('SELECT pg_promote(true, 20)')
    },
    async follow(primary, by) {
      await stop()
      configure(false)
      const from = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${STANDBY_NAME}`
      if (by === 'pg_rewind') {
        // It reads from the control file which timeline the other one is on.
        await primary.ask('CHECKPOINT')
        const words = ['-D', data, `--config-file=${configFile}`, `--source-server=${from} dbname=postgres`]
        await program('pg_rewind', ...words, '--no-sync', '--write-recovery-conf')
      } else {
        rmSync(data, { recursive: true, force: true })
        await program(
          'pg_basebackup',
          '-D',
          data,
          '-d',
          from,
          '-X',
          'stream',
          '-c',
          'fast',
          '--no-sync',
          '-R',
        )
      }
      await start()
      await primary.waitForStandby(true)
      await until('the standby is synchronous', async () => {
        const rows = await primary.ask("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
        return rows.length === 1
      })
    },
  }
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // Within its folder, which is deleted: a server that is killed leaves it behind.
  dynamic_shared_memory_type: 'mmap',
  shared_buffers: '32MB',
  max_connections: '100',
  max_wal_size: '512MB',
  // What a rewind, or a standby that comes late, has to read.
  wal_keep_size: '256MB',
  wal_receiver_timeout: '5s',
  wal_retrieve_retry_interval: '200ms',
}

function childrenOf(pid: number): number[] {
  try {
    const text = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    return text.split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endsAtMs = performance.now() + START_MS
  while (!(await isSo())) {
    if (performance.now() > endsAtMs) throw new Error(`Not in time: ${what}`)
    await delay(50)
  }
}
