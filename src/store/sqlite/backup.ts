/**
 * `backup`: copies both files while posts are taken, with SQLite's online backup over the connections that write: what is
 * committed meanwhile reaches the copy too. The vault is copied after the queue, so that it has every account and key that
 * the queue's copy needs. Each copy is checked as a whole, in a thread of its own, and synced before it is answered.
 *
 * The master key stays out of the folder unless the request asks for it.
 */
import { once } from 'node:events'
import { open, readdir, rm, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { backup, type DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { BackupRefused, StoreUnavailable, codeOf } from '../../errors.ts'
import type { BackupReport, BackupRequest } from '../engine/operations.ts'
import { makeFolder } from '../../vault/master-key.ts'
import { PAGE_BYTES, readPragma } from './connection.ts'
import { freeBytes } from './reserved-space.ts'

/** In this order, the master key between them. A folder without the last of them was not finished. */
export const BACKUP_FILES = { queue: 'queue.db', vault: 'vault.db' } as const
export const BACKUP_KEY_FILE = 'master-key'

/** Left free beside the copy. */
const SPARE_BYTES = 64 * 1024 ** 2
/** 25 MB. What is not synced until the last step is synced in it, and the queue's commits wait for that. */
const STEPS_PER_SYNC = 64
/** Each checks once whether a transaction is open. */
const MOST_TRIES = 10_000

/** `findQueue`: undefined while a queue that was quarantined is not replaced yet. */
export function createBackups(
  findQueue: () => DatabaseSync | undefined,
  vaultDb: DatabaseSync,
  masterKey: Uint8Array,
) {
  const stopping = new AbortController()
  let running: Promise<BackupReport> | undefined
  return {
    /** Rejects with BACKUP_REFUSED; the folder is then as it was, except that a damaged copy stays. */
    make(request: BackupRequest): Promise<BackupReport> {
      if (running !== undefined) throw new BackupRefused('A backup is running already.')
      const queueDb = findQueue()
      if (queueDb === undefined) throw new StoreUnavailable()
      const making = makeBackup(queueDb, vaultDb, masterKey, request, stopping.signal)
      running = making.finally(() => (running = undefined))
      return running
    },
    /** Ends one that runs. */
    async stop(): Promise<void> {
      stopping.abort()
      await running?.catch(() => undefined)
    },
  }
}

async function makeBackup(
  queueDb: DatabaseSync,
  vaultDb: DatabaseSync,
  masterKey: Uint8Array,
  { folder, withMasterKey }: BackupRequest,
  signal: AbortSignal,
): Promise<BackupReport> {
  const files: { file: string; bytes: number }[] = []
  const add = async (db: DatabaseSync, file: string) =>
    files.push({ file, bytes: await copy(db, join(folder, file), signal) })
  try {
    await prepareFolder(folder, sizeOf(queueDb) + sizeOf(vaultDb) + SPARE_BYTES)
    await add(queueDb, BACKUP_FILES.queue)
    if (withMasterKey) {
      const text = `${Buffer.from(masterKey).toString('base64url')}\n`
      await writeFile(join(folder, BACKUP_KEY_FILE), text, { flag: 'wx', mode: 0o600, flush: true })
    }
    await add(vaultDb, BACKUP_FILES.vault)
    await using entry = await open(folder, 'r')
    await entry.sync()
    return { files }
  } catch (error) {
    // Without copies the folder was not empty: the key in it is somebody's.
    if (files.length > 0) await rm(join(folder, BACKUP_KEY_FILE), { force: true })
    if (error instanceof BackupRefused) throw error
    for (const { file } of files) await rm(join(folder, file), { force: true })
    if (signal.aborted) throw new BackupRefused('The relay is shutting down; there is no backup.')
    throw new BackupRefused(`${folder} cannot be written (${codeOf(error)}); there is no backup.`)
  }
}

async function prepareFolder(folder: string, neededBytes: number): Promise<void> {
  if (!isAbsolute(folder))
    throw new BackupRefused('The folder must be an absolute path, as the relay sees it.')
  // Before all that this thread waits for: posts must not stop for a file server that is away.
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
    makeFolder(folder)
    return []
  })
  if (names.length > 0) throw new BackupRefused(`${folder} is not empty.`)
  if (freeBytes(folder) < neededBytes) {
    throw new BackupRefused(
      `${folder} has no room: a backup takes ${Math.ceil(neededBytes / 1024 ** 2)} MiB.`,
    )
  }
}

function sizeOf(db: DatabaseSync): number {
  return Number(readPragma(db, 'page_count')) * PAGE_BYTES
}

/** Answers its bytes. The copy is whole, or damaged as the store is; none is left when it is stopped. */
async function copy(db: DatabaseSync, path: string, signal: AbortSignal): Promise<number> {
  await using file = await open(path, 'wx', 0o600)
  let syncing: Promise<void> | undefined
  let steps = 0
  try {
    const progress = () => {
      signal.throwIfAborted()
      if (++steps % STEPS_PER_SYNC !== 0) return
      syncing ??= file
        .datasync()
        // The last step syncs, and reports it.
        .catch(() => undefined)
        .finally(() => (syncing = undefined))
    }
    for (let tries = 1; ; tries += 1) {
      try {
        await backup(db, path, { progress })
        break
      } catch (error) {
        if (!isLocked(error) || tries === MOST_TRIES) throw error
        signal.throwIfAborted()
        await setImmediate()
      }
    }
    await syncing
    await check(path, signal)
    await file.sync()
    return (await file.stat()).size
  } catch (error) {
    if (!(error instanceof BackupRefused)) {
      for (const ending of ['', '-journal', '-wal', '-shm']) await rm(path + ending, { force: true })
    }
    throw error
  } finally {
    await syncing
  }
}

/** Reading the whole file takes as long as copying it did. */
async function check(path: string, signal: AbortSignal): Promise<void> {
  const thread = new Worker(new URL('./backup-check.ts', import.meta.url), { workerData: path })
  try {
    await once(thread, 'exit', { signal })
  } catch (error) {
    if (signal.aborted) throw error
    const { message } = error as Error
    throw new BackupRefused(`The copy ${path} is damaged, as the store is: ${message}.`)
  } finally {
    await thread.terminate()
  }
}

/** A transaction was open at the first step. Node waits for it at later ones only, and throws an error without an error's code. */
function isLocked(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 0
}
