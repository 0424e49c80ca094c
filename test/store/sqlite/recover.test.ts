/** What can be read of a damaged file: everything that is not on the damaged page itself. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { copyStore, makePattern, OTHER, type Pattern } from './damaged.ts'
import { overwrite } from './flipped.ts'
import { makeFolder } from './ground.ts'
import { findPages, readDamaged, testSpoiled } from './spoiled.ts'

const folder = makeFolder(t)
const pattern = await makePattern(folder, 60)

let copies = 0
function copy(from: string): string {
  return copyStore(from, join(folder, `copy-${copies++}`))
}

t.test('of whole files everything comes back, and nothing that was acknowledged', (t) => {
  for (const from of [pattern.closed, pattern.killed]) {
    const before = hashFiles(from)
    const { groups, isTest, deadLetters, unreadable } = readDamaged(pattern, join(from, 'relay.db'))
    t.strictSame(sorted(groups), sorted(pattern.pending))
    for (const [batchId, test] of isTest) {
      const number = numberOf(groups.get(batchId)![0]!)
      t.equal(test, number % 3 === 1)
    }
    t.strictSame(deadLetters.toSorted(), pattern.deadIds)
    t.equal(unreadable, 0)
    t.strictSame(hashFiles(from), before, 'the file is not changed')
  }
  t.end()
})

t.test('a queue is in its row and in the index of its accounts', (t) => {
  for (const name of ['queues', 'sqlite_autoindex_queues_1']) {
    const path = copy(pattern.closed)
    spoilRoots(path, [name])
    t.equal(readDamaged(pattern, path).groups.size, pattern.pending.size)
  }
  t.end()
})

t.test(
  'a lost queue is told from the dedupe index, which has live events only; else nothing is guessed',
  (t) => {
    const path = copy(pattern.closed)
    spoilRoots(path, ['queues', 'sqlite_autoindex_queues_1'])
    const { groups, isTest, deadLetters, unreadable } = readDamaged(pattern, path)
    const live = [...pattern.pending].filter(([, [id]]) => numberOf(id!) % 3 !== 1)
    t.strictSame(sorted(groups), sorted(new Map(live)))
    t.ok([...isTest.values()].every((test) => !test))
    t.strictSame(deadLetters, [])
    t.equal(unreadable, pattern.pending.size - live.length + pattern.deadIds.length)
    t.equal(readDamaged(pattern, path, []).groups.size, 0, 'and an account that nobody knows is not found')
    t.end()
  },
)

t.test('a queue of which the row says live and the index says test is not guessed', (t) => {
  const path = copy(pattern.closed)
  alter(path, 'DELETE FROM dedupe_blocks')
  const changed = copyStore(dirname(path), join(folder, `copy-${copies++}`))
  alter(changed, `UPDATE queues SET is_test = 1 WHERE ad_account_id = '${OTHER.adAccountId}'`)
  const bytes = readFileSync(path)
  const start = (rootOf(path, 'sqlite_autoindex_queues_1') - 1) * 4096
  readFileSync(changed).copy(bytes, start, start, start + 4096)
  writeFileSync(path, bytes)
  const { groups, unreadable } = readDamaged(pattern, path)
  const known = [...pattern.pending].filter(([, [id]]) => numberOf(id!) % 3 !== 2)
  t.ok(known.length < pattern.pending.size)
  t.strictSame(sorted(groups), sorted(new Map(known)))
  t.equal(unreadable, pattern.pending.size - known.length)
  t.end()
})

t.test('a healthy file of another making is read as well', (t) => {
  const path = copy(pattern.closed)
  alter(path, 'PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM')
  t.equal(readFileSync(path).readUInt16BE(16), 8192)
  const { groups, deadLetters, unreadable } = readDamaged(pattern, path)
  t.strictSame(sorted(groups), sorted(pattern.pending))
  t.strictSame(deadLetters.toSorted(), pattern.deadIds)
  t.equal(unreadable, 0)
  t.end()
})

t.test('a lost root takes its table along, which is counted, and nothing of the others', (t) => {
  const path = copy(pattern.closed)
  spoilRoots(path, ['payloads'])
  const { groups, deadLetters, unreadable } = readDamaged(pattern, path)
  t.equal(groups.size, 0)
  t.strictSame(deadLetters.toSorted(), pattern.deadIds)
  t.equal(unreadable, pattern.pending.size)
  t.end()
})

t.test('behind leaves that are lost, the others of the table are found without the queue', (t) => {
  const path = copy(pattern.closed)
  const pages = leavesOf(path, 'payloads')
  spoilRoots(path, ['batches'])
  const lost = [1, 2, pages.length >> 1, pages.length - 1].map((index) => pages[index]!)
  for (const page of lost) overwrite(path, (page - 1) * 4096, Buffer.alloc(4096, 0x33))
  const { groups } = readDamaged(pattern, path)
  const pagesOf = findPages(join(pattern.closed, 'relay.db'))
  const kept = [...pattern.pending.keys()].filter((id) => !lost.some((page) => pagesOf.get(id)!.has(page)))
  t.ok(kept.length > pattern.pending.size / 2)
  t.strictSame(new Set(groups.keys()), new Set(kept))
  t.end()
})

t.test('a batch whose row is lost comes back with all of its events', (t) => {
  const path = copy(pattern.closed)
  alter(path, 'DELETE FROM batches')
  const ids = [...readDamaged(pattern, path).groups.values()].flat()
  t.ok(['partly-0', ...pattern.acknowledged].every((id) => ids.includes(id)))
  t.end()
})

t.test('what is no database gives nothing', (t) => {
  const path = copy(pattern.closed)
  for (const bytes of [Buffer.alloc(0), Buffer.from('dead_letter'), Buffer.alloc(100_000, 7)]) {
    writeFileSync(path, bytes)
    t.equal(readDamaged(pattern, path).groups.size, 0)
  }
  t.end()
})

testSpoiled(t, { pattern, folder, rounds: 5, seed: 1, nthPage: 8 })

function alter(path: string, sql: string): void {
  using db = new DatabaseSync(path)
  db.exec(sql)
}

/** Of the pattern's events; every third one, from 1 on, is a test. */
function numberOf(eventId: string): number {
  return Number(/^event-(\d+)/.exec(eventId)?.[1] ?? 0)
}

function spoilRoots(path: string, names: readonly string[]): void {
  const roots = names.map((name) => rootOf(path, name))
  for (const root of roots) overwrite(path, (root - 1) * 4096, Buffer.alloc(4096, 0x33))
}

function rootOf(path: string, name: string): number {
  using db = new DatabaseSync(path, { readOnly: true })
  return Number(db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(name)!['rootpage'])
}

/** In the order of their ids. */
function leavesOf(path: string, table: string): number[] {
  using db = new DatabaseSync(path, { readOnly: true })
  return db
    .prepare("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path")
    .all(table)
    .map(({ pageno }) => Number(pageno))
}

function sorted(batches: Pattern['pending']): [number, readonly string[]][] {
  return [...batches].toSorted(([a], [b]) => a - b)
}

function hashFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('relay.db'))
    .map((name) =>
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    )
}
