/**
 * A process may die between any two steps that change files. Each test takes an image of the folder before every one of them,
 * as a kill at that moment leaves it, and goes on from each image.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs, { existsSync, mkdirSync, readdirSync } from 'node:fs'
import fsPromises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { splitEvents } from '../../../src/store/payload.ts'
import { restoreBackup } from '../../../src/store/sqlite/restore-backup.ts'
import { makeFolder } from '../../support/at-exit.ts'
import { openSqlite, type OpenedStore } from '../../support/stores.ts'
import { askAll, LIVE, makeBatch, TEST } from '../batches.ts'
import { copyStore, makePattern, OTHER } from './damaged.ts'
import { asidesBeside, openDamaged, overwrite, type Opened } from './flipped.ts'
import { RESERVED_BYTES } from './ground.ts'

const root = makeFolder(t)
const pattern = await makePattern(root, 60)
const { masterKeys } = pattern
const PENDING = [...pattern.pending.values()].flat().toSorted()

const CHANGES = [
  'copyFileSync',
  'linkSync',
  'openSync',
  'renameSync',
  'rmSync',
  'writeFileSync',
  'fsyncSync',
] as const
const ASYNC_CHANGES = ['mkdir', 'open', 'rm', 'writeFile'] as const

let images = 0

/** Of the folder before each step, and after the last one. A child copies it: reading an open store here would end its lock. */
async function imagesOf(folder: string, act: () => unknown): Promise<string[]> {
  const made: string[] = []
  const take = () => {
    const image = join(root, `image-${++images}`)
    execFileSync('cp', ['-r', folder, image])
    made.push(image)
  }
  const undo: (() => void)[] = []
  const watch = (module: object, names: readonly string[]) => {
    for (const name of names) {
      const original = Reflect.get(module, name) as (...args: unknown[]) => unknown
      undo.push(() => void Reflect.set(module, name, original))
      Reflect.set(module, name, (...args: unknown[]) => {
        take()
        return original(...args)
      })
    }
  }
  watch(fs, CHANGES)
  watch(fsPromises, ASYNC_CHANGES)
  syncBuiltinESMExports()
  try {
    await act()
  } finally {
    for (const restore of undo) restore()
    syncBuiltinESMExports()
  }
  take()
  return made
}

async function idsIn({ store }: OpenedStore): Promise<string[]> {
  const ids: string[] = []
  for (const queue of [LIVE, TEST, OTHER]) {
    for (const { payload, acknowledged } of await store.lease(askAll(queue))) {
      const events = splitEvents(payload).map((json) => (JSON.parse(json) as { event_id: string }).event_id)
      ids.push(...events.filter((_, index) => !acknowledged.includes(index)))
    }
  }
  return ids.toSorted()
}

/** Opens the store of an image and brings back what was quarantined: each event is there once. */
async function assertWhole(
  t: Test,
  image: string,
  expected: readonly string[],
  name: string,
): Promise<Opened> {
  const path = join(image, 'relay.db')
  const opened = await openDamaged(t, { masterKeys }, path)
  for (const file of asidesBeside(path).filter((one) => !one.endsWith('-wal') && !one.includes('recovering')))
    t.match(await opened.recover(basename(file)), { unreadable: 0 }, name)
  t.strictSame(await idsIn(opened), expected, name)
  await opened.close()
  return opened
}

/** Much of it is in the WAL. SQLite cannot read the first page of the file. */
function makeBroken(name: string): string {
  const path = copyStore(pattern.killed, join(root, name))
  overwrite(path, 100, Buffer.alloc(3000, 0xee))
  overwrite(`${path}-wal`, 32 + 24 + 100, Buffer.alloc(3000, 0xee))
  return path
}

/** `expected`: the ids of its events. */
async function openWhole(name: string) {
  const folder = join(root, name)
  const path = copyStore(pattern.closed, folder)
  const opened = await openSqlite({ path, masterKeys, reservedBytes: RESERVED_BYTES })
  return { folder, opened, expected: await idsIn(opened) }
}

t.test('a start that is killed while it begins a file is followed by one that begins it anew', async (t) => {
  const begun = join(root, 'half-begun')
  const db = new DatabaseSync(begun)
  // More than the cache holds: the file and its rollback journal are as the kill leaves them.
  db.exec(
    'PRAGMA cache_size = 1; BEGIN; CREATE TABLE some (bytes); INSERT INTO some VALUES (zeroblob(100000))',
  )
  for (const name of ['relay.vault.db', 'relay.db']) {
    const path = join(root, `half-begun-${name}`, 'relay.db')
    mkdirSync(join(path, '..'))
    if (name === 'relay.db') await (await openDamaged(t, { masterKeys }, path)).close()
    for (const ending of ['', '-journal']) fs.copyFileSync(begun + ending, join(path, '..', name + ending))
    const opened = await openDamaged(t, { masterKeys }, path)
    t.strictSame(opened.problems, [])
    t.ok((await opened.store.commit(makeBatch(['taken']))).batch)
    await opened.close()
  }
  db.close()
})

t.test(
  'a quarantine that is cut short is finished at the next start: nothing of file or WAL is lost',
  async (t) => {
    const path = makeBroken('broken')
    const taken = await imagesOf(join(path, '..'), async () => {
      const opened = await openDamaged(t, { masterKeys }, path)
      t.equal(opened.asides().length, 1)
      await opened.close()
    })
    t.ok(taken.length > 3, `${taken.length} images`)
    for (const [nth, image] of taken.entries()) await assertWhole(t, image, PENDING, `image ${nth}`)
  },
)

t.test('so it is where the next queue has a file already, which is empty, and it is reported', async (t) => {
  for (const from of [pattern.closed, pattern.killed]) {
    const image = join(root, `begun-${basename(from)}`)
    const path = copyStore(from, image)
    const aside = `${path}.corrupt-20260101T000000Z`
    fs.renameSync(path, aside)
    fs.writeFileSync(path, '')
    const opened = await assertWhole(t, image, PENDING, basename(from))
    t.strictSame(opened.asides(), [aside])
  }
})

t.test(
  'a recovery that is cut short can be repeated: nothing is lost, and nothing comes twice',
  async (t) => {
    const path = makeBroken('recovered')
    const opened = await openDamaged(t, { masterKeys }, path)
    const taken = await imagesOf(join(path, '..'), () => opened.recover(basename(opened.asides()[0]!)))
    await opened.close()
    t.ok(taken.length > 3, `${taken.length} images`)
    for (const [nth, image] of taken.entries()) await assertWhole(t, image, PENDING, `image ${nth}`)
  },
)

t.test('a backup that is cut short is refused, or is whole', async (t) => {
  const { folder, opened, expected } = await openWhole('store-1')
  const backup = join(folder, 'backup')
  mkdirSync(backup)
  const taken = await imagesOf(backup, () => opened.backUp({ folder: backup, withMasterKey: true }))
  await opened.close()
  let whole = 0
  for (const [nth, image] of taken.entries()) {
    const target = join(folder, `target-${nth}`)
    try {
      restoreBackup(image, join(target, 'relay.db'), masterKeys)
    } catch (error) {
      t.match(error, { code: 'BACKUP_REFUSED' }, `image ${nth}`)
      continue
    }
    whole += 1
    t.ok(existsSync(join(image, 'master-key')), 'with all that was asked for')
    await assertWhole(t, target, expected, `image ${nth}`)
  }
  t.ok(whole > 0 && whole < taken.length, `${whole} of ${taken.length}`)
})

t.test('a restore that is cut short stops the start, or is whole; it can be repeated', async (t) => {
  const { folder, opened, expected } = await openWhole('store-2')
  const backup = join(folder, 'backup')
  await opened.backUp({ folder: backup, withMasterKey: false })
  await opened.close()
  const target = join(folder, 'target')
  mkdirSync(target)
  const taken = await imagesOf(target, () => restoreBackup(backup, join(target, 'relay.db'), masterKeys))
  for (const [nth, image] of taken.entries()) {
    const path = join(image, 'relay.db')
    const name = `image ${nth}: ${readdirSync(image).join()}`
    const isHalf = existsSync(path) !== existsSync(join(image, 'relay.vault.db'))
    if (isHalf) {
      await t.rejects(
        openDamaged(t, { masterKeys }, path),
        { code: 'STORE_CANNOT_OPEN', message: /but not its vault/ },
        name,
      )
      t.throws(() => restoreBackup(backup, path, masterKeys), {
        code: 'BACKUP_REFUSED',
        message: /move .* away first/,
      })
      for (const ending of ['', '-wal', '-shm']) fs.rmSync(path + ending, { force: true })
    }
    if (!existsSync(path)) restoreBackup(backup, path, masterKeys)
    await assertWhole(t, image, expected, name)
  }
})

t.test('a WAL that is left of another store is not taken for that of the restored one', async (t) => {
  const folder = join(root, 'store-3')
  mkdirSync(folder)
  const opened = await openSqlite({
    path: join(folder, 'relay.db'),
    masterKeys,
    reservedBytes: RESERVED_BYTES,
  })
  await opened.store.commit(makeBatch([`backed-up-${randomBytes(4).toString('hex')}`]))
  const backup = join(folder, 'backup')
  await opened.backUp({ folder: backup, withMasterKey: false })
  await opened.close()
  for (const name of ['relay.db', 'relay.vault.db']) {
    const target = join(folder, `beside-${name}`)
    mkdirSync(target)
    fs.copyFileSync(join(pattern.killed, 'relay.db-wal'), join(target, `${name}-wal`))
    t.throws(() => restoreBackup(backup, join(target, 'relay.db'), masterKeys), {
      code: 'BACKUP_REFUSED',
      message: /move .*-wal away first/,
    })
  }
})

t.test('a WAL whose queue is gone is kept: recover brings back what is in it, and says so', async (t) => {
  for (const isBroken of [false, true]) {
    const path = isBroken ? makeBroken('gone-broken') : copyStore(pattern.killed, join(root, 'gone'))
    fs.rmSync(path)
    const opened = await openDamaged(t, { masterKeys }, path)
    t.ok((await opened.store.commit(makeBatch(['after']))).batch)
    const [aside] = opened.asides()
    t.equal(opened.asides().length, 1)
    t.ok((await opened.recover(basename(aside!)))!.events > 0)
    await opened.close()
    t.strictSame((await openDamaged(t, { masterKeys }, path)).asides(), [], 'and once')
  }
})

t.test('a WAL is not taken for that of a queue that was quarantined before, without one', async (t) => {
  const path = copyStore(pattern.closed, join(root, 'older'))
  overwrite(path, 0, Buffer.alloc(3000, 0xee))
  const first = await openDamaged(t, { masterKeys }, path)
  const [older] = first.asides()
  await first.store.commit(makeBatch(['newer']))
  fs.copyFileSync(`${path}-wal`, join(root, 'newer-wal'))
  await first.close()
  // As if the relay had been killed, and somebody had deleted the queue alone.
  fs.rmSync(path)
  fs.copyFileSync(join(root, 'newer-wal'), `${path}-wal`)
  const opened = await openDamaged(t, { masterKeys }, path)
  const [newer] = opened.asides()
  t.match(await opened.recover(basename(older!)), { unreadable: 0, deadLetters: 2 })
  t.match(await opened.recover(basename(newer!)), { events: 1 })
  t.strictSame(await idsIn(opened), [...PENDING, 'newer'].toSorted())
})
