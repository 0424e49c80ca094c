/**
 * A folder of its own for one test's store. A crash leaves a copy of the files as they are on the disk while the store is
 * open, in a new folder. A child copies them: reading them here would end the store's lock on them.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { makeFolder } from '../../support/at-exit.ts'
import { startNode, type NodeProcess } from '../../support/node-process.ts'
import { openSqlite, type OpenedStore, type SqliteOptions } from '../../support/stores.ts'
import { FRAME_BYTES, HEADER_BYTES, isWalDamaged, readWal } from '../../../src/store/sqlite/wal.ts'
import type { Ground } from '../../contract/store.ts'

/** Enough for the WAL of a test. The default would write some gigabytes in a run of all tests. */
export const RESERVED_BYTES = 4 * 1024 * 1024

export interface SqliteGround extends Ground {
  readonly folder: string
  readonly path: string
  readonly vaultPath: string
  open(options?: Partial<SqliteOptions>): Promise<OpenedStore>
}

/** A process that commits until it is killed, and prints what it did. */
export function startCommitter(path: string, masterKey: Buffer, first = 0): NodeProcess {
  const words = ['test/store/sqlite/committer.ts', path, masterKey.toString('base64'), String(first)]
  return startNode({ words, environment: {} })
}

export async function layGround(t: Test): Promise<SqliteGround> {
  const ground = layGroundIn(makeFolder(t))
  return {
    ...ground,
    get folder() {
      return ground.folder
    },
    get path() {
      return ground.path
    },
    get vaultPath() {
      return ground.vaultPath
    },
    async open(options) {
      const opened = await ground.open(options)
      t.teardown(() => opened.close().catch(() => undefined))
      return opened
    },
  }
}

/** For those who close what they open. */
export function layGroundIn(firstFolder: string): SqliteGround {
  const masterKeys = { current: randomBytes(32) }
  let folder = firstFolder
  let crashes = 0
  let open: OpenedStore | undefined
  return {
    get folder() {
      return folder
    },
    get path() {
      return join(folder, 'relay.db')
    },
    get vaultPath() {
      return join(folder, 'relay.vault.db')
    },
    async open(options) {
      open = await openSqlite({
        path: join(folder, 'relay.db'),
        masterKeys,
        reservedBytes: RESERVED_BYTES,
        ...options,
      })
      return open
    },
    async crash() {
      const image = join(firstFolder, `crash-${++crashes}`)
      await copyFiles(folder, image)
      await open?.close()
      folder = image
    },
  }
}

/**
 * As a crash leaves them: a database, and a WAL that only grew while both were copied. When SQLite wrote back meanwhile, the
 * database has changed, and is copied again. What was written beside the copying may be torn in the middle of the copy, where
 * a crash tears the last transaction only: the copied WAL ends there.
 */
async function copyFiles(from: string, to: string): Promise<void> {
  mkdirSync(to)
  const databases = ['relay.db', 'relay.vault.db']
  const names = databases.flatMap((name) => [name, `${name}-wal`])
  const isSame = (name: string) =>
    run('cmp', ['-s', join(from, name), join(to, name)]).then(
      () => true,
      () => false,
    )
  do await run('cp', [...names.map((name) => join(from, name)), to])
  while (!(await Promise.all(databases.map(isSame))).every(Boolean))
  for (const name of databases) cutWal(join(to, `${name}-wal`))
}

function cutWal(path: string): void {
  if (!isWalDamaged(path)) return
  const { frames } = readWal(path)!
  truncateSync(path, HEADER_BYTES + FRAME_BYTES * frames.findIndex(({ isSound }) => !isSound))
}

const run = promisify(execFile)
