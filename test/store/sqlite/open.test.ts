/** Which stores are opened, which are not, and that those are left as they are. */
import { createHash, randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { openFile, readPragma } from '../../../src/store/sqlite/connection.ts'
import { openSqlite } from '../../support/stores.ts'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { makeBatch } from '../batches.ts'
import { layGround, startCommitter } from './ground.ts'

const CANNOT_WRITE = {
  code: 'STORE_CANNOT_OPEN',
  message: /relay\.vault\.db cannot be opened for writing \(.*\)/,
}

t.test('both files are private, in a folder that is made', async (t) => {
  const ground = await layGround(t)
  const { store } = await ground.open({ path: join(ground.folder, 'deep', 'data', 'relay.db') })
  await store.commit(makeBatch(['a']))
  const folder = join(ground.folder, 'deep', 'data')
  const files = readdirSync(folder)
  t.ok(files.includes('relay.db') && files.includes('relay.vault.db'))
  for (const file of files) t.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file)
})

t.test('every commit is synced, and the file is locked', async (t) => {
  const path = join(t.testdir(), 'relay.db')
  const db = openFile({ path, schema: QUEUE_SCHEMA, limitBytes: Infinity }, (opened) => opened)
  t.teardown(() => db.close())
  t.equal(readPragma(db, 'journal_mode'), 'wal')
  t.equal(readPragma(db, 'synchronous'), 2)
  t.equal(readPragma(db, 'locking_mode'), 'exclusive')
  t.equal(readPragma(db, 'user_version'), QUEUE_SCHEMA.version)
})

t.test('a store that is open is not opened again, here or in another process', async (t) => {
  const ground = await layGround(t)
  const { store } = await ground.open()
  await t.rejects(ground.open(), { code: 'STORE_IN_USE', message: /in use by another process/ })
  const child = startCommitter(ground.path, randomBytes(32))
  t.equal(await child.firstLine((line) => line), 'STORE_IN_USE')
  t.equal(await child.ended, 0)
  await t.resolves(store.commit(makeBatch(['a'])), 'and is none the worse')
})

t.test('after a close it can be opened again', async (t) => {
  const ground = await layGround(t)
  await (await ground.open()).close()
  await t.resolves(ground.open())
})

t.test('a wrong master key stops the start and changes nothing', async (t) => {
  const ground = await layGround(t)
  const untouched = await leaveKilledStore(t, ground.path)
  await t.rejects(ground.open({ masterKeys: { current: randomBytes(32), previous: randomBytes(32) } }), {
    code: 'WRONG_MASTER_KEY',
  })
  untouched('not a byte, nor in the WAL that a crash left')
})

t.test('a newer or an older schema stops the start and changes nothing', async (t) => {
  for (const [file, version, code] of [
    ['path', 99, 'STORE_TOO_NEW'],
    ['vaultPath', 99, 'STORE_TOO_NEW'],
    ['path', 1, 'STORE_CANNOT_OPEN'],
  ] as const) {
    const ground = await layGround(t)
    await (await ground.open()).close()
    const db = new DatabaseSync(ground[file])
    db.exec(`PRAGMA user_version = ${version}`)
    db.close()
    const untouched = remember(t, ground.folder)
    await t.rejects(ground.open(), { code, message: new RegExp(`schema ${version}\\b`) })
    untouched()
  }
})

t.test('a queue without its vault stops the start and changes nothing', async (t) => {
  const ground = await layGround(t)
  const opened = await ground.open()
  await opened.store.commit(makeBatch(['queued']))
  await opened.close()
  const elsewhere = join(ground.folder, 'elsewhere')
  const vaultPath = ground.vaultPath
  renameSync(vaultPath, elsewhere)
  const untouched = remember(t, ground.folder)
  const refused = {
    code: 'STORE_CANNOT_OPEN',
    message: /relay\.db is there, but not its vault .*relay\.vault\.db/,
  }
  await t.rejects(ground.open(), refused)
  writeFileSync(vaultPath, '')
  await t.rejects(ground.open(), refused, 'a vault that was never begun is none')
  untouched()
  renameSync(elsewhere, vaultPath)
  const [queue] = await (await ground.open()).store.backlog()
  t.match(queue, { events: 1 }, 'with its vault it is all there')
})

t.test('a first start that was killed between its two files is no obstacle', async (t) => {
  const ground = await layGround(t)
  await (await ground.open()).close()
  writeFileSync(ground.path, '')
  await (await ground.open()).close()
  for (const path of [ground.path, ground.vaultPath]) writeFileSync(path, '')
  await t.resolves(ground.open())
})

t.test('a file that is no store stops the start and is kept', async (t) => {
  const ground = await layGround(t)
  writeFileSync(ground.path, 'This is a love letter, and not a short one. '.repeat(100))
  const untouched = remember(t, ground.folder)
  await t.rejects(ground.open(), { code: 'STORE_CANNOT_OPEN', message: /not a database/ })
  untouched()
  t.notOk(readdirSync(ground.folder).includes('relay.vault.db'), 'nor is a vault begun')
})

t.test('a place where no file can be made stops the start with one clear line', async (t) => {
  const ground = await layGround(t)
  const deadLetter = join(ground.folder, 'dead_letter')
  writeFileSync(deadLetter, 'not a folder')
  await t.rejects(ground.open({ path: join(deadLetter, 'relay.db') }), CANNOT_WRITE)
  // Where Node's recursive mkdir never ends.
  await t.rejects(ground.open({ path: '/proc/pinrelay/relay.db' }), CANNOT_WRITE)
  mkdirSync(ground.vaultPath)
  const untouched = remember(t, ground.folder)
  await t.rejects(ground.open(), CANNOT_WRITE)
  untouched()
})

t.test('a folder that may not be written stops the start with one clear line', async (t) => {
  const folder = join(t.testdir(), 'locked')
  mkdirSync(folder)
  chmodSync(folder, 0o555)
  const masterKeys = { current: new Uint8Array(32) }
  if (mayWrite(folder)) t.comment('not tried: root may write anywhere')
  else await t.rejects(openSqlite({ path: join(folder, 'relay.db'), masterKeys }), CANNOT_WRITE)
})

t.test('nothing of a payload can be read in the files', async (t) => {
  const ground = await layGround(t)
  // The trail has the ids of events.
  const { store, close } = await ground.open({ hasTrail: false })
  await store.commit(makeBatch(['readable-id']))
  const scan = () =>
    readdirSync(ground.folder).map((file) => readFileSync(join(ground.folder, file), 'latin1'))
  const isAnywhere = (text: string) => scan().some((content) => content.includes(text))
  t.ok(isAnywhere('549755885175'), 'the scan sees what is in the clear')
  t.notOk(isAnywhere('readable-id') || isAnywhere('203.0.113.7'), 'in the WAL')
  await close()
  t.ok(isAnywhere('549755885175'))
  t.notOk(isAnywhere('readable-id') || isAnywhere('203.0.113.7'), 'in the file')
})

/** A store whose process was killed, with a WAL that was never written back. */
async function leaveKilledStore(t: Test, path: string): Promise<(message?: string) => void> {
  const child = startCommitter(path, randomBytes(32))
  let lines = 0
  await child.firstLine(() => ++lines === 20 || undefined)
  await child.kill()
  const untouched = remember(t, join(path, '..'))
  t.ok(statSync(`${path}-wal`).size > 0)
  return untouched
}

/** Answers a check that each file of the folder is the same; SQLite's own `-shm` is scratch and may come. */
function remember(t: Test, folder: string): (message?: string) => void {
  const hashFiles = () =>
    readdirSync(folder)
      .filter(
        (file) =>
          !file.endsWith('-shm') &&
          statSync(join(folder, file)).isFile() &&
          statSync(join(folder, file)).size > 0,
      )
      .map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex'),
      ])
  const before = hashFiles()
  return (message = 'not a byte was changed') => t.same(hashFiles(), before, message)
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

t.test('closing twice closes once, and nothing is taken after it', async (t) => {
  const ground = await layGround(t)
  const opened = await ground.open()
  await Promise.all([opened.close(), opened.close()])
  await t.rejects(opened.store.commit(makeBatch(['late'])), { code: 'SHUTTING_DOWN' })
})
