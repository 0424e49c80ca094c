import { createHash, randomBytes } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import fsPromises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createBackups } from '../../../src/store/sqlite/backup.ts'
import { restoreBackup } from '../../../src/store/sqlite/restore-backup.ts'
import { openSqlite, type OpenedStore } from '../../support/stores.ts'
import { mountSmallDisk } from '../../support/small-disk.ts'
import { askAll, makeBatch } from '../batches.ts'
import { openDamaged, overwrite } from './flipped.ts'
import { makeFolder } from '../../support/at-exit.ts'
import { RESERVED_BYTES } from './ground.ts'

const PAGE_BYTES = 4096
const masterKeys = { current: randomBytes(32) }

async function open(t: Test, path: string): Promise<OpenedStore> {
  const opened = await openSqlite({ path, masterKeys, reservedBytes: RESERVED_BYTES })
  t.teardown(() => opened.close().catch(() => undefined))
  return opened
}

/** A batch as large as its account: several steps of a copy, and pages that lead to no others. */
function largeBatch(name: string) {
  const batch = makeBatch([name])
  return { ...batch, payload: Buffer.concat([batch.payload, Buffer.alloc(100_000, ' ')]) }
}

async function fill({ store }: OpenedStore, count: number): Promise<void> {
  for (let number = 0; number < count; number++) await store.commit(largeBatch(`filled-${number}`))
}

const backUp = (opened: OpenedStore, folder: string) => opened.backUp({ folder, withMasterKey: false })

/** The event ids that wait in a store. */
async function eventsIn(opened: OpenedStore): Promise<string[]> {
  const batches = await opened.store.lease(askAll())
  return batches.flatMap(({ payload }) =>
    Array.from(
      Buffer.from(payload)
        .toString()
        .matchAll(/"event_id":"([^"]+)"/g),
      ([, id]) => id!,
    ),
  )
}

/** Every file below a folder, with its content. */
function listOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
    })
    .toSorted()
}

t.test(
  'under load: all that was committed before is in it, and the vault has what the queue needs',
  async (t) => {
    const folder = makeFolder(t)
    const opened = await open(t, join(folder, 'relay.db'))
    await fill(opened, 80)
    const committed: number[] = []
    let isOver = false
    const post = async () => {
      for (let number = 0; !isOver; number++) {
        const body = Buffer.from(String(number))
        await opened.vaultStore.changeVault(() => [{ kind: 'key', id: `${number}`, body }])
        await opened.store.commit(makeBatch([`posted-${number}`]))
        committed.push(number)
      }
    }
    const posting = post()
    while (committed.length < 3) await opened.store.size()
    const before = committed.length
    const backupFolder = join(folder, 'backups', 'today')
    const { files } = await backUp(opened, backupFolder)
    const during = committed.length - before
    isOver = true
    await posting
    await opened.close()
    t.ok(during > 0, 'posts went on')
    t.strictSame(readdirSync(backupFolder).toSorted(), ['queue.db', 'vault.db'], 'and no key')
    for (const { file, bytes } of files) {
      const { size, mode } = statSync(join(backupFolder, file))
      t.strictSame([size, mode & 0o777], [bytes, 0o600])
    }

    const path = join(folder, 'elsewhere', 'other.db')
    t.strictSame(restoreBackup(backupFolder, path, masterKeys), { isQueueDamaged: false })
    t.strictSame(readdirSync(join(folder, 'elsewhere')).toSorted(), ['other.db', 'other.vault.db'])
    const restored = await open(t, path)
    const posted = (await eventsIn(restored)).filter((id) => id.startsWith('posted-'))
    t.ok(posted.length >= before, `${posted.length} of at least ${before}`)
    t.strictSame(
      posted.toSorted(),
      posted.map((_, number) => `posted-${number}`).toSorted(),
      'none is left out',
    )
    const documents = new Set((await restored.vaultStore.readVault()).map(({ id }) => id))
    for (const id of posted) t.ok(documents.has(id.slice('posted-'.length)), id)
    t.match(await restored.store.totals({}), { received: 80 + posted.length, queued: 80 + posted.length })
    t.same(
      (await restored.store.commit(makeBatch(['posted-0']))).duplicates,
      [0],
      'the dedupe index is there',
    )
  },
)

t.test('a transaction that is open when the copy begins is waited for', async (t) => {
  const folder = makeFolder(t)
  const db = new DatabaseSync(join(folder, 'some.db'))
  t.teardown(() => db.close())
  db.exec(
    'PRAGMA journal_mode = WAL; CREATE TABLE some (number); BEGIN IMMEDIATE; INSERT INTO some VALUES (1)',
  )
  const backups = createBackups(() => db, db, masterKeys.current)
  let isOver = false
  const made = backups.make({ folder: join(folder, 'backup'), withMasterKey: false })
  void made.catch(() => undefined).then(() => (isOver = true))
  while (!existsSync(join(folder, 'backup', 'queue.db'))) await setImmediate()
  for (let turn = 0; turn < 1000 && !isOver; turn++) await setImmediate()
  t.notOk(isOver)
  db.exec('COMMIT')
  t.match(await made, { files: [{ file: 'queue.db' }, { file: 'vault.db' }] })
})

t.test('the master key is in it only where that is asked for', async (t) => {
  const folder = makeFolder(t)
  const opened = await open(t, join(folder, 'relay.db'))
  await opened.backUp({ folder: join(folder, 'backup'), withMasterKey: true })
  const path = join(folder, 'backup', 'master-key')
  t.equal(readFileSync(path, 'utf8').trim(), masterKeys.current.toString('base64url'))
  t.equal(statSync(path).mode & 0o777, 0o600)
})

t.test('one at a time, into an absolute and empty folder, and ended by a close', async (t) => {
  const folder = makeFolder(t)
  const opened = await open(t, join(folder, 'relay.db'))
  await fill(opened, 40)
  const refused = (message: RegExp) => ({ code: 'BACKUP_REFUSED', message })
  await t.rejects(backUp(opened, 'backup'), refused(/absolute/))
  await t.rejects(backUp(opened, folder), refused(/is not empty/))
  await t.rejects(backUp(opened, join(folder, 'relay.db', 'below')), refused(/cannot be written \(ENOTDIR\)/))
  await t.rejects(backUp(opened, '/proc/backup'), refused(/cannot be written/))
  const running = backUp(opened, join(folder, 'backup'))
  t.throws(() => opened.backUp({ folder: join(folder, 'other'), withMasterKey: false }), refused(/running/))
  await Promise.all([t.rejects(running, refused(/shutting down/)), opened.close()])
  t.strictSame(readdirSync(join(folder, 'backup')), [], 'nothing is left of it')
})

t.test('of a backup whose vault cannot be copied nothing is left, the master key least of all', async (t) => {
  const folder = makeFolder(t)
  const [queue, vault] = ['queue', 'vault'].map((name) => new DatabaseSync(join(folder, name)))
  t.teardown(() => queue!.close())
  const backup = join(folder, 'backup')
  // It closes when its copy begins.
  Object.defineProperty(vault, 'location', { value: () => {} })
  const prepare = vault!.prepare.bind(vault)
  vault!.prepare = (sql) => {
    const statement = prepare(sql)
    const get = statement.get.bind(statement)
    statement.get = () => {
      const row = get()
      vault!.close()
      return row
    }
    return statement
  }
  const backups = createBackups(() => queue, vault!, masterKeys.current)
  await t.rejects(backups.make({ folder: backup, withMasterKey: true }), { code: 'BACKUP_REFUSED' })
  t.strictSame(readdirSync(backup), [])
})

t.test('a file server that is away stops a backup, and no post', async (t) => {
  const folder = makeFolder(t)
  const opened = await open(t, join(folder, 'relay.db'))
  const { readdir } = fsPromises
  const asked = Promise.withResolvers<unknown>()
  const answer = Promise.withResolvers<never>()
  const replace = (value: unknown) => {
    Object.assign(fsPromises, { readdir: value })
    syncBuiltinESMExports()
  }
  t.teardown(() => replace(readdir))
  replace((path: unknown) => {
    asked.resolve(path)
    return answer.promise
  })
  const backup = join(folder, 'mounted', 'backup')
  const made = backUp(opened, backup)
  t.equal(await asked.promise, backup)
  t.notOk(existsSync(join(folder, 'mounted')), 'nothing was asked for in the thread of the store')
  t.ok((await opened.store.commit(makeBatch(['meanwhile']))).batch)
  answer.reject(Object.assign(new Error(), { code: 'EIO' }))
  await t.rejects(made, { code: 'BACKUP_REFUSED', message: /EIO/ })
})

t.test('beside a copy of a damaged vault, which stays, no master key is left', async (t) => {
  const folder = makeFolder(t)
  const [queue, vault] = ['queue', 'vault'].map((name) => {
    const path = join(folder, name)
    const db = new DatabaseSync(path)
    db.exec('CREATE TABLE some (text); INSERT INTO some VALUES (1)')
    db.close()
    if (name === 'vault') overwrite(path, PAGE_BYTES, Buffer.alloc(PAGE_BYTES, 0x33))
    return new DatabaseSync(path)
  })
  t.teardown(() => [queue, vault].forEach((db) => db!.close()))
  const backup = join(folder, 'backup')
  const backups = createBackups(() => queue, vault!, masterKeys.current)
  await t.rejects(backups.make({ folder: backup, withMasterKey: true }), {
    code: 'BACKUP_REFUSED',
    message: /vault\.db is damaged/,
  })
  t.strictSame(readdirSync(backup), ['queue.db', 'vault.db'])
})

t.test('a disk without room for the copy is left as it is', async (t) => {
  const disk = mountSmallDisk(t, '12m')
  if (disk === undefined) return
  const opened = await open(t, join(makeFolder(t), 'relay.db'))
  const folder = join(disk.folder, 'backup')
  await t.rejects(backUp(opened, folder), {
    code: 'BACKUP_REFUSED',
    message: /no room: a backup takes \d+ MiB/,
  })
  t.strictSame(readdirSync(folder), [])
})

t.test('damage that the store has not met is found in the copy', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'relay.db')
  const first = await open(t, path)
  await fill(first, 20)
  await first.close()
  // Of a large event, which only a lease reads.
  const page = Math.floor(statSync(path).size / PAGE_BYTES / 2)
  overwrite(path, page * PAGE_BYTES, Buffer.alloc(PAGE_BYTES, 0xee))
  const opened = await openDamaged(t, { masterKeys }, path)
  await t.rejects(backUp(opened, join(folder, 'backup')), { code: 'BACKUP_REFUSED', message: /is damaged/ })
})

t.test('a restore refuses what would be no store, and changes nothing then', async (t) => {
  const folder = makeFolder(t)
  const opened = await open(t, join(folder, 'relay.db'))
  await fill(opened, 3)
  const backup = join(folder, 'backup')
  await backUp(opened, backup)
  await opened.close()
  const target = join(folder, 'target')
  mkdirSync(target)
  const path = join(target, 'relay.db')
  const refuse = (from: string, expected: { code: string; message?: RegExp }, keys = masterKeys) => {
    const before = listOf(folder)
    t.throws(() => restoreBackup(from, path, keys), expected)
    t.strictSame(listOf(folder), before)
  }
  const spoil = (name: string, change: (copy: string) => void) => {
    const copy = join(folder, name)
    mkdirSync(copy)
    for (const file of ['queue.db', 'vault.db']) copyFileSync(join(backup, file), join(copy, file))
    change(copy)
    return copy
  }

  refuse(backup, { code: 'WRONG_MASTER_KEY' }, { current: randomBytes(32) })
  refuse(join(folder, 'nowhere'), { code: 'BACKUP_REFUSED', message: /queue\.db is missing/ })
  refuse(
    spoil('half', (copy) => rmSync(join(copy, 'vault.db'))),
    { code: 'BACKUP_REFUSED', message: /no whole backup/ },
  )
  for (const [name, change] of Object.entries({
    empty: (vault: string) => writeFileSync(vault, ''),
    cut: (vault: string) => writeFileSync(vault, readFileSync(vault).subarray(0, 2 * PAGE_BYTES)),
    noise: (vault: string) => overwrite(vault, 0, randomBytes(PAGE_BYTES)),
  })) {
    const copy = spoil(name, (folder) => change(join(folder, 'vault.db')))
    refuse(copy, { code: 'BACKUP_REFUSED', message: /vault\.db is damaged/ })
  }
  restoreBackup(backup, path, masterKeys)
  refuse(backup, { code: 'BACKUP_REFUSED', message: /a store already/ })
})

t.test('a damaged queue is restored as it is: what can be read comes back', async (t) => {
  const folder = makeFolder(t)
  const opened = await open(t, join(folder, 'relay.db'))
  for (let number = 0; number < 400; number++) await opened.store.commit(makeBatch([`event-${number}`]))
  const backup = join(folder, 'backup')
  await backUp(opened, backup)
  await opened.close()
  overwrite(join(backup, 'queue.db'), 0, randomBytes(PAGE_BYTES))
  const path = join(folder, 'target', 'relay.db')
  t.strictSame(restoreBackup(backup, path, masterKeys), { isQueueDamaged: true })
  const restored = await openDamaged(t, { masterKeys }, path)
  const [aside] = restored.asides()
  const report = await restored.recover(aside!.split('/').at(-1)!)
  t.match(report, { events: 400, unreadable: 0 })
  t.equal((await eventsIn(restored)).length, 400)
})
