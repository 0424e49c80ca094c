/** A corrupt queue is quarantined, named and replaced within seconds, and the vault is unhurt. */
import {
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  closeSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { splitEvents } from '../../../src/store/payload.ts'
import { findQuarantined, quarantine } from '../../../src/store/sqlite/quarantine.ts'
import { askAll, LIVE, makeBatch, NOW_MS, TEST } from '../batches.ts'
import { copyStore, makePattern, OTHER, type Pattern } from './damaged.ts'
import {
  asidesBeside,
  cpuMs,
  openDamaged,
  overwrite,
  REPLACED_WITHIN_CPU_MS,
  testFlipped,
  type Opened,
} from './flipped.ts'
import { makeFolder } from '../../support/at-exit.ts'

const folder = makeFolder(t)
const pattern = await makePattern(folder, 60)
let copies = 0

function open(
  t: Test,
  path: string,
  masterKeys: Pattern['masterKeys'] = pattern.masterKeys,
): Promise<Opened> {
  return openDamaged(t, { masterKeys }, path)
}

function copy(from: string): string {
  return copyStore(from, join(folder, `copy-${copies++}`))
}

testFlipped(t, {
  pattern,
  folder,
  rounds: 3,
  seed: 1,
  vaultPages: (count) => [1, count - 1],
})

t.test('a count of free pages that cannot be is damage, and does not make the store look full', async (t) => {
  // The header's count, see "The Database File Format", 1.3: with the first bit or a later one of it flipped.
  for (const firstByte of [0x80, 0x40, 0x08]) {
    const path = copy(pattern.closed)
    overwrite(path, 36, Buffer.from([firstByte]))
    const opened = await open(t, path)
    t.equal(opened.asides().length, 1)
    t.ok((await opened.store.commit(makeBatch([`free-${firstByte}`], LIVE))).batch?.batchId)
    t.equal((await opened.store.size()).isFull, false)
    await opened.close()
  }
})

t.test('a file that says it must not be written is damaged, and replaced', async (t) => {
  // The header's write version: SQLite opens a file with a larger number than it knows for reading only.
  const path = copy(pattern.closed)
  overwrite(path, 18, Buffer.from([6]))
  const opened = await open(t, path)
  t.equal(opened.asides().length, 1)
  t.ok((await opened.store.commit(makeBatch(['writable'], LIVE))).batch?.batchId)
  await opened.close()
})

t.test('recover brings all of it back through the dedupe, once', async (t) => {
  const path = copy(pattern.killed)
  // The page of the schema: nothing can be read by SQL.
  overwrite(path, 100, Buffer.alloc(3000, 0xee))
  overwriteFirstFrames(path)
  const opened = await open(t, path)
  const [aside] = opened.asides()
  t.match(basename(aside!), /^relay\.db\.corrupt-\d{8}T\d{6}Z$/)
  t.ok(existsSync(`${aside}-wal`))
  const before = readFileSync(aside!)
  const events = [...pattern.pending.values()].flat()
  const { store } = opened
  // One event was posted again meanwhile.
  await store.commit(makeBatch(['event-3-b'], LIVE))
  const has = [...pattern.pending.values()].some((ids) => ids.includes('event-3-b'))

  const report = await opened.recover(basename(aside!))
  const duplicates = Number(has)
  t.match(report, { events: events.length - duplicates, duplicates, deadLetters: 2, unreadable: 0 })
  const waiting = (await store.backlog()).map(({ adAccountId, isTest }) => ({ adAccountId, isTest }))
  t.strictSame(new Set(waiting), new Set([LIVE, TEST, OTHER]))
  t.match(await store.totals({}), { queued: events.length + 1 - duplicates, rejected: 1, expired: 1 })
  t.equal((await store.deadLetters({ limit: 10 })).length, 2)

  const again = await opened.recover(basename(aside!))
  t.match(again, { batches: 0, events: 0, duplicates: events.length + 2, deadLetters: 0 })
  const found: string[] = []
  for (const queue of [LIVE, TEST, OTHER]) {
    const batches = await store.lease(askAll(queue))
    for (const { payload } of batches) found.push(...splitEvents(payload).map(eventIdOf))
  }
  t.strictSame(
    found.toSorted(),
    [...events, ...(has ? [] : ['event-3-b'])].filter((id) => id !== 'event-3-b' || !has).toSorted(),
  )
  t.strictSame(readFileSync(aside!), before, 'the file is not changed')
  t.match(await store.totals({}), { queued: events.length + 1 - duplicates })
  t.equal(await opened.recover('relay.db'), undefined, 'the queue in use is none')
  t.equal(await opened.recover('../copy-0/relay.db.corrupt-20260101T000000Z'), undefined)
})

t.test(
  'a queue that breaks while it is in use is replaced, and nobody who asks has to ask again',
  async (t) => {
    const path = copy(pattern.closed)
    const leaves = listLeaves(path)
    const opened = await open(t, path)
    const { store, vaultStore } = opened
    const [held] = await store.lease(askAll({ maxEvents: 1 }))
    const committed = await store.commit(makeBatch(['before']))
    // Behind SQLite's back: as a disk does it. The schema and what leads to the payloads stay.
    for (const page of leaves) overwrite(path, (page - 1) * 4096, Buffer.alloc(4096, 0x55))
    const startedMs = cpuMs()
    const results = await Promise.all([
      store.lease(askAll()),
      store.commit(makeBatch(['during'])),
      store.acknowledge([{ batchId: held!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }]),
      store.release([{ batchId: committed.batch!.batchId, attempts: 1, history: [] }]),
      vaultStore.readVault(),
    ])
    t.ok(cpuMs() - startedMs < REPLACED_WITHIN_CPU_MS)
    t.equal(opened.asides().length, 1)
    t.equal(results[4].length, 3)
    t.ok(results[1].batch!.batchId > committed.batch!.batchId, 'ids are never given twice')
    t.match(await store.totals({}), { received: 1, queued: 1, delivered: 0 })
    await opened.close()
    const again = await open(t, path)
    t.strictSame(
      (await again.store.lease(askAll())).map(({ batchId }) => batchId),
      [results[1].batch!.batchId],
    )
    const report = await again.recover(basename(opened.asides()[0]!))
    t.ok(report!.events >= 1, 'what was in the WAL comes back')
  },
)

t.test('damage that only a payload shows is met when it is touched', async (t) => {
  const path = copy(pattern.closed)
  const db = new DatabaseSync(path, { readOnly: true })
  const leaves = db.prepare("SELECT pageno FROM dbstat WHERE name = 'batches' AND pagetype = 'leaf'").all()
  db.close()
  for (const { pageno } of leaves) overwrite(path, (Number(pageno) - 1) * 4096, Buffer.alloc(4096, 0x77))
  const opened = await open(t, path)
  t.same(await opened.store.lease(askAll()), [])
  t.equal(opened.asides().length, 1)
  await t.resolves(opened.store.commit(makeBatch(['on-it-goes'])))
})

t.test('synced transactions behind a broken frame are not forgotten in silence; a torn end is', async (t) => {
  const broken = copy(pattern.killed)
  flipAt(`${broken}-wal`, 32 + 24 + 2000)
  const opened = await open(t, broken)
  const [aside] = opened.asides()
  t.ok(aside)
  const report = await opened.recover(basename(aside!))
  t.ok(report!.events > 0)

  const torn = copy(pattern.killed)
  const file = openSync(`${torn}-wal`, 'r+')
  ftruncateSync(file, statSync(`${torn}-wal`).size - 1000)
  closeSync(file)
  t.strictSame((await open(t, torn)).asides(), [])
})

t.test('what is no corruption stops the start and touches nothing', async (t) => {
  const wrongKey = copy(pattern.closed)
  overwrite(wrongKey, 8192, Buffer.alloc(4096, 1))
  await t.rejects(open(t, wrongKey, { current: randomBytes(32) }), { code: 'WRONG_MASTER_KEY' })
  t.strictSame(asidesBeside(wrongKey), [])

  const foreign = copy(pattern.closed)
  for (const name of ['relay.vault.db']) renameSync(join(foreign, '..', name), `${foreign}.elsewhere`)
  overwrite(foreign, 0, Buffer.from('This is a love letter.'))
  await t.rejects(open(t, foreign), {
    code: 'STORE_CANNOT_OPEN',
    message: /relay\.db is damaged .*not a database/,
  })
  t.strictSame(asidesBeside(foreign), [])
})

t.test('a queue that is no database any more is quarantined when the vault beside it is ours', async (t) => {
  const path = copy(pattern.closed)
  overwrite(path, 0, Buffer.alloc(4096, 0))
  const opened = await open(t, path)
  t.equal(opened.asides().length, 1)
  t.match(await opened.recover(basename(opened.asides()[0]!)), { unreadable: 0, deadLetters: 2 })
})

t.test('a value of a kind that its column does not allow is damage', async (t) => {
  const path = copy(pattern.closed)
  const db = new DatabaseSync(path)
  db.enableDefensive(false)
  // As a flipped bit does it: SQLite looks at the types of what is written only.
  const alter = (from: string, to: string) =>
    db.exec(`PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, '${from}', '${to}') WHERE name = 'dedupe_rows';
      PRAGMA writable_schema = RESET`)
  alter('keys BLOB NOT NULL', 'keys BLOB')
  db.exec('UPDATE dedupe_rows SET keys = NULL WHERE row_id = 2')
  alter('keys BLOB', 'keys BLOB NOT NULL')
  db.close()
  const opened = await open(t, path)
  t.equal(opened.asides().length, 1)
  await t.resolves(opened.store.commit(makeBatch(['on-it-goes'])))
})

t.test('a number that JavaScript cannot hold is damage', async (t) => {
  const path = copy(pattern.closed)
  const db = new DatabaseSync(path)
  db.exec('UPDATE totals SET received = 290026155652746899')
  db.close()
  const opened = await open(t, path)
  // Met when it is read: at the opening, or by who asks.
  await opened.store.totals({}).catch(() => undefined)
  t.match(await opened.store.totals({}), { received: 0 })
  t.equal(opened.asides().length, 1)
  t.ok((await opened.store.commit(makeBatch(['after'], LIVE))).batch)
  await opened.close()
})

t.test('a key check that was changed is damage, and not a wrong key', async (t) => {
  const path = copy(pattern.closed)
  const db = new DatabaseSync(path)
  db.exec('UPDATE key_checks SET sealed = zeroblob(60)')
  db.close()
  t.equal((await open(t, path)).asides().length, 1)
})

t.test('no name is used twice', (t) => {
  const path = join(t.testdir({}), 'relay.db')
  const names = ['one', 'two', 'three'].map((text) => {
    writeFileSync(path, text)
    return quarantine(path, 0)
  })
  t.strictSame(
    names.map((name) => readFileSync(name, 'utf8')),
    ['one', 'two', 'three'],
  )
  t.strictSame(
    names.map((name) => findQuarantined(path, basename(name))),
    names,
  )
  t.end()
})

t.test('a death between the two renames is made good', async (t) => {
  const path = copy(pattern.killed)
  const wal = readFileSync(`${path}-wal`)
  renameSync(path, `${path}.corrupt-20260101T000000Z`)
  const opened = await open(t, path)
  t.strictSame(readFileSync(`${path}.corrupt-20260101T000000Z-wal`), wal)
  t.match(await opened.recover('relay.db.corrupt-20260101T000000Z'), {
    unreadable: 0,
    deadLetters: 2,
  })
})

function flipAt(path: string, offset: number): void {
  overwrite(path, offset, Buffer.from([readFileSync(path)[offset]! ^ 0xff]))
}

/** The first page may be in the WAL as well. */
function overwriteFirstFrames(path: string): void {
  const wal = readFileSync(`${path}-wal`)
  for (let at = 32; at + 24 + 4096 <= wal.length; at += 24 + 4096) {
    if (wal.readUInt32BE(at) === 1) overwrite(`${path}-wal`, at + 24 + 100, Buffer.alloc(3000, 0xee))
  }
}

function eventIdOf(json: string): string {
  return (JSON.parse(json) as { event_id: string }).event_id
}

/** All pages that hold rows, but the first one. */
function listLeaves(path: string): number[] {
  using db = new DatabaseSync(path, { readOnly: true })
  const pages = db.prepare("SELECT pageno FROM dbstat WHERE pagetype <> 'internal' AND pageno > 1").all()
  return pages.map(({ pageno }) => Number(pageno))
}

for (const [what, sql, found] of [
  [
    'a damaged name of a column costs its values',
    'ALTER TABLE dead_letters RENAME COLUMN history TO hastory',
    [2, 0],
  ],
  ['a damaged outcome costs its dead letter', "UPDATE dead_letters SET status = 'rejectee'", [0, 2]],
] as const) {
  t.test(what, async (t) => {
    const path = copy(pattern.closed)
    const db = new DatabaseSync(path)
    db.exec(sql)
    db.close()
    renameSync(path, `${path}.corrupt-20260101T000000Z`)
    const { recover, store } = await open(t, path)
    const [deadLetters, unreadable] = found
    t.match(await recover('relay.db.corrupt-20260101T000000Z'), { deadLetters, unreadable })
    t.equal((await store.deadLetters({ limit: 10 })).length, deadLetters)
  })
}
