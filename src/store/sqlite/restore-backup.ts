/**
 * `restore`: puts a backup in the place of a store that is not there. For a relay that is stopped. The copies are checked
 * beside the store before they get its names: the queue first, since a queue without its vault stops a start, while a vault
 * without its queue would start with an empty one.
 */
import { constants, copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { BackupRefused } from '../../errors.ts'
import { makeFolder } from '../../vault/master-key.ts'
import { createSealer, type MasterKeys, type Sealer } from '../../vault/seal.ts'
import { BACKUP_FILES } from './backup.ts'
import { inspectFile, type Schema } from './connection.ts'
import { isDamage } from './failures.ts'
import { vaultBeside } from '../paths.ts'
import { hasContent, syncPath } from './quarantine.ts'
import { QUEUE_SCHEMA, VAULT_SCHEMA } from './schema.ts'

export interface Restored {
  /** The relay quarantines it when it meets the damage, and `recover` brings back what can be read. */
  readonly isQueueDamaged: boolean
}

/** Throws BACKUP_REFUSED, WRONG_MASTER_KEY or STORE_TOO_NEW, and has then changed nothing. */
export function restoreBackup(folder: string, databasePath: string, masterKeys: MasterKeys): Restored {
  const queuePath = resolve(databasePath)
  const files = [
    { from: join(folder, BACKUP_FILES.queue), to: queuePath },
    { from: join(folder, BACKUP_FILES.vault), to: vaultBeside(queuePath) },
  ].map((file) => ({ ...file, trial: `${file.to}.restoring` }))
  for (const { from, to } of files) {
    if (!existsSync(from)) throw new BackupRefused(`${folder} holds no whole backup: ${from} is missing.`)
    // SQLite would take another file's WAL for this one's.
    const there = existsSync(to) ? to : hasContent(`${to}-wal`) ? `${to}-wal` : undefined
    if (there !== undefined) throw new BackupRefused(`There is a store already: move ${there} away first.`)
  }
  const [queue, vault] = files as [(typeof files)[0], (typeof files)[0]]
  const sealer = createSealer(masterKeys)
  try {
    makeFolder(dirname(queuePath))
    for (const { from, trial } of files) copyFileSync(from, trial, constants.COPYFILE_FICLONE)
    if (!isSound(vault.trial, VAULT_SCHEMA, sealer)) throw new BackupRefused(`${vault.from} is damaged.`)
    const isQueueDamaged = !isSound(queue.trial, QUEUE_SCHEMA, sealer)
    for (const { trial, to } of files) {
      syncPath(trial)
      renameSync(trial, to)
    }
    syncPath(dirname(queuePath))
    return { isQueueDamaged }
  } finally {
    for (const { trial } of files) {
      for (const ending of ['', '-wal', '-shm']) rmSync(trial + ending, { force: true })
    }
  }
}

/** False for a file that was never begun, too. */
function isSound(path: string, schema: Schema, sealer: Sealer): boolean {
  try {
    return inspectFile(path, schema, sealer, 'whole')
  } catch (error) {
    if (isDamage(error)) return false
    throw error
  }
}
