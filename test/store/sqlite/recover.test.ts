/** What can be read of a damaged file: everything that is not on the damaged page itself. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { copyStore, makePattern, type Pattern } from './damaged.ts'
import { overwrite } from './flipped.ts'
import { makeFolder } from '../../support/at-exit.ts'
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

t.test('what is not sealed for the queue that its row names is counted, and not taken', (t) => {
  const path = copy(pattern.closed)
  alter(path, "UPDATE batches SET ad_account_id = 'x'")
  const { groups, unreadable } = readDamaged(pattern, path)
  t.equal(groups.size, 0)
  t.equal(unreadable, pattern.pending.size)
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
  spoilRoots(path, ['batches'])
  const { groups, deadLetters, unreadable } = readDamaged(pattern, path)
  t.equal(groups.size, 0)
  t.strictSame(deadLetters.toSorted(), pattern.deadIds)
  t.equal(unreadable, pattern.pending.size)
  t.end()
})

t.test('behind leaves that are lost the others are found by the index, and around one without it', (t) => {
  const pages = leavesOf(join(pattern.closed, 'relay.db'), 'batches')
  const pagesOf = findPages(join(pattern.closed, 'relay.db'))
  const middle = pages.length >> 1
  for (const [places, roots] of [
    [[1, middle, pages.length - 1], []],
    [[middle], ['batches_waiting']],
  ] as const) {
    const path = copy(pattern.closed)
    spoilRoots(path, roots)
    const lost = places.map((index) => pages[index]!)
    for (const page of lost) overwrite(path, (page - 1) * 4096, Buffer.alloc(4096, 0x33))
    const { groups } = readDamaged(pattern, path)
    const kept = [...pattern.pending.keys()].filter((id) => !lost.some((page) => pagesOf.get(id)!.has(page)))
    t.ok(kept.length > pattern.pending.size / 2)
    t.strictSame(new Set(groups.keys()), new Set(kept))
  }
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
