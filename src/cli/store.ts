/** Care of the store: `reseal`, `recover FILE`, `backup DIR` by the relay; `restore DIR` by this process while the relay is stopped. */
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { codeOf } from '../errors.ts'
import type { BackupAnswer, RecoverAnswer, ResealAnswer } from '../admin/store-care.ts'
import type { Command } from './command.ts'
import { readEnvironment } from './settings.ts'
import { CommandFailed } from './terminal.ts'

const reseal: Command = {
  name: 'reseal',
  words: '',
  does: 'seals again with MASTER_KEY whatever MASTER_KEY_PREVIOUS sealed; afterwards the previous key is not needed any more',
  async run({ admin }) {
    const answer = await admin.send<ResealAnswer>('POST', '/reseal')
    const { records, payloads } = answer
    return { answer, text: `resealed ${records} records of the vault and ${payloads} payloads` }
  },
}

const recover: Command = {
  name: 'recover',
  words: 'FILE',
  does: 'brings back what can be read of a queue that was quarantined (relay.db.corrupt-…)',
  async run({ positionals: [path = ''], admin }) {
    // A path is taken as well: the log and `ls` show the name, a shell completes the path.
    const answer = await admin.send<RecoverAnswer>('POST', '/recover', { file: basename(path) })
    const text =
      `recovered ${answer.events} events in ${answer.batches} batches and ${answer.dead_letters} dead letters; ` +
      `${answer.duplicates} were here already, ${answer.unreadable} batches or dead letters cannot be read`
    return { answer, text }
  },
}

const backup: Command = {
  name: 'backup',
  words: 'DIR [--with-master-key]',
  does: "copies vault and queue into an empty folder of the relay's machine while posts are taken; the master key, without which nobody can read them, is not among them unless asked for",
  async run({ positionals: [path = ''], options, admin }) {
    const folder = resolve(path)
    const body = { folder, with_master_key: options['with-master-key'] === true }
    const answer = await admin.send<BackupAnswer>('POST', '/backup', body)
    const files = answer.files.map(({ file, bytes }) => `${file} (${bytes} bytes)`)
    const keyLine = answer.with_master_key
      ? 'The master key is in it: whoever has this folder can read everything.'
      : 'The master key is not in it, and without it the backup cannot be read: keep a copy elsewhere.'
    return { answer: { folder, ...answer }, text: `${folder}: ${files.join(', ')}\n${keyLine}` }
  },
}

const restore: Command = {
  name: 'restore',
  words: 'DIR',
  does: 'puts a backup where DATABASE_URL says, while no store is there and the relay is stopped; needs the master key that sealed it',
  async run({ positionals: [folder = ''], terminal }) {
    const { path, isQueueDamaged } = await restoreFrom(resolve(folder), terminal.environment)
    const lines = [
      `${path} and its vault are restored. Start the relay.`,
      'Events of the backup that were delivered since are sent again, with the same event ids.',
      ...(isQueueDamaged ? [DAMAGED] : []),
    ]
    return {
      answer: { database: path, queue_damaged: isQueueDamaged },
      text: lines.join('\n'),
      isPartial: isQueueDamaged,
    }
  },
}

const DAMAGED =
  'The copy of the queue is damaged: the relay will quarantine it, and relay recover brings back what can be read.'

async function restoreFrom(folder: string, environment: Parameters<typeof readEnvironment>[0]) {
  const settings = await readEnvironment(environment)
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
    // The relay's own errors are written for people.
    const isOurs = error instanceof Error && 'statusCode' in error
    throw new CommandFailed(isOurs ? error.message : `Nothing was restored (${codeOf(error)}).`)
  }
}

export const storeCommands: readonly Command[] = [reseal, recover, backup, restore]
