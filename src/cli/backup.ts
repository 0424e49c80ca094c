/** `backup DIR`, by the relay itself, and `restore DIR`, by this process while the relay is stopped. SQLite only. */
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { BackupAnswer } from '../admin/backup.ts'
import { codeOf } from '../telemetry/log.ts'
import { firstOf, show, type Command } from './command.ts'
import { readEnvironment } from './settings.ts'
import { CommandFailed, EXIT } from './terminal.ts'

const backup: Command = {
  name: 'backup',
  words: 'DIR [--with-master-key]',
  does: "copies vault and queue into an empty folder of the relay's machine while posts go on; the master key, without which nobody can read them, is not among them unless asked for",
  positionals: 1,
  options: { 'with-master-key': { type: 'boolean' } },
  async run(invocation) {
    const folder = resolve(firstOf(invocation))
    const answer = await invocation.admin.send<BackupAnswer>('POST', '/backup', {
      folder,
      with_master_key: invocation.options['with-master-key'] === true,
    })
    show(invocation, { folder, ...answer }, () =>
      [
        `${folder}: ${answer.files.map(({ file, bytes }) => `${file} (${bytes} bytes)`).join(', ')}`,
        answer.with_master_key
          ? 'The master key is in it: whoever has this folder can read everything.'
          : 'The master key is not in it, and without it the backup cannot be read: keep a copy elsewhere.',
      ].join('\n'),
    )
    return EXIT.done
  },
}

const restore: Command = {
  name: 'restore',
  words: 'DIR',
  does: 'puts a backup where DATABASE_URL says, while no store is there and the relay is stopped; needs the master key that sealed it',
  positionals: 1,
  async run(invocation) {
    const folder = resolve(firstOf(invocation))
    const { path, isQueueDamaged } = await restoreFrom(folder, invocation.terminal.environment)
    show(invocation, { database: path, queue_damaged: isQueueDamaged }, () =>
      [
        `${path} and its vault are restored. Start the relay.`,
        'Events of the backup that were delivered since are sent again, with the same event ids.',
        ...(isQueueDamaged
          ? [
              'The copy of the queue is damaged: the relay will quarantine it, and relay recover brings back what can be read.',
            ]
          : []),
      ].join('\n'),
    )
    return isQueueDamaged ? EXIT.partly : EXIT.done
  },
}

async function restoreFrom(folder: string, environment: Parameters<typeof readEnvironment>[0]) {
  const settings = readEnvironment(environment)
  const { database } = settings
  if (database.kind === 'postgres') {
    throw new CommandFailed('The store is PostgreSQL: restore it with its own tools, see docs/postgres.md.')
  }
  // No other command needs the store's code.
  const { findMasterKeys, masterKeyFile } = await import('../store/open-store.ts')
  const { BACKUP_KEY_FILE } = await import('../store/sqlite/backup.ts')
  const { restoreBackup } = await import('../store/sqlite/restore-backup.ts')
  const [keyFile, keyCopy] = [masterKeyFile(database.path), join(folder, BACKUP_KEY_FILE)]
  const hasKey = settings.MASTER_KEY !== undefined || existsSync(keyFile)
  if (!hasKey && !existsSync(keyCopy)) {
    throw new CommandFailed(
      `The master key that sealed the backup is missing: set MASTER_KEY, or put the key into ${keyFile}.`,
    )
  }
  try {
    const keys = hasKey ? settings : { ...settings, MASTER_KEY: readFileSync(keyCopy, 'utf8') }
    const restored = restoreBackup(folder, database.path, await findMasterKeys(keys))
    if (!hasKey) copyFileSync(keyCopy, keyFile)
    return { path: database.path, ...restored }
  } catch (error) {
    // The relay's own errors are made to be read.
    const isOurs = error instanceof Error && 'statusCode' in error
    throw new CommandFailed(isOurs ? error.message : `Nothing was restored (${codeOf(error)}).`)
  }
}

export const backupCommands: readonly Command[] = [backup, restore]
