/** What can be read of a damaged file: everything that is not on the damaged page itself. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { kindOf, SHAPES } from '../../../../src/store/sqlite/salvage/rows.ts'
import { QUEUE_SCHEMA } from '../../../../src/store/sqlite/schema.ts'
import { copyStore, makePattern, type Pattern } from '../damaged.ts'
import { makeFolder } from '../ground.ts'
import { salvage, testSpoiled } from './spoiled.ts'

const folder = makeFolder(t)
const pattern = await makePattern(folder, 60)

let copies = 0
function copy(from: string): string {
  return copyStore(from, join(folder, `copy-${copies++}`))
}

t.test('the shapes are those of the tables', (t) => {
  const db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.steps.join(';'))
  for (const [kind, shape] of Object.entries(SHAPES)) {
    if (kind === 'laneIndex') continue
    const columns = db.prepare(`PRAGMA table_info(${kind})`).all()
    const isRowId = columns[0]!['type'] === 'INTEGER' && columns[0]!['pk'] === 1 && columns[1]!['pk'] === 0
    const letters = columns.map(({ type, notnull, pk }, index) => {
      if (index === 0 && isRowId) return 'r'
      const letter = { INTEGER: 'i', TEXT: 't', BLOB: 'b' }[String(type)]!
      return notnull === 1 || Number(pk) > 0 ? letter : letter.toUpperCase()
    })
    t.equal(letters.join(''), shape, kind)
  }
  const olderLane = [0, 37, ...Array.from({ length: 9 }, () => 1)]
  t.equal(kindOf({ rowId: 1, types: olderLane, read: () => undefined }), 'lanes', 'before it counted bytes')
  t.equal(kindOf({ rowId: 1, types: [0, 1], read: () => undefined }), undefined)
  db.close()
  t.end()
})

t.test('of whole files everything comes back, and nothing that was settled', (t) => {
  for (const from of [pattern.closed, pattern.killed]) {
    const before = hashFiles(from)
    const { parcels, isTest, letters, unreadable } = salvage(pattern, join(from, 'relay.db'))
    t.strictSame(sorted(parcels), sorted(pattern.pending))
    for (const [parcelId, test] of isTest) {
      const number = Number(/^event-(\d+)/.exec(parcels.get(parcelId)![0]!)?.[1] ?? 0)
      t.equal(test, number % 3 === 1)
    }
    t.strictSame(letters.toSorted(), pattern.deadIds)
    t.equal(unreadable, 0)
    t.strictSame(hashFiles(from), before, 'the file is not changed')
  }
  t.end()
})

t.test(
  'a lost lane is told from the other one of its account, or from the keys of live events; else nothing is guessed',
  (t) => {
    const path = copy(pattern.closed)
    const change = (sql: string) => {
      const db = new DatabaseSync(path)
      db.exec(sql)
      db.close()
    }
    change('DELETE FROM lanes WHERE is_test = 1')
    t.strictSame(
      salvage(pattern, path).isTest.size,
      pattern.pending.size,
      'the live lane is known, so this is the other',
    )
    change('DELETE FROM lanes')
    const { isTest, unreadable } = salvage(pattern, path)
    const live = [...pattern.pending].filter(
      ([, [id]]) => Number(/^event-(\d+)/.exec(id!)?.[1] ?? 0) % 3 !== 1,
    )
    t.strictSame(new Set(isTest.keys()), new Set(live.map(([id]) => id)))
    t.ok([...isTest.values()].every((test) => !test))
    t.equal(unreadable, pattern.pending.size - live.length + pattern.deadIds.length)
    t.equal(salvage(pattern, path, []).parcels.size, 0, 'and an account that nobody knows is not found')
    t.end()
  },
)

t.test('a parcel whose row is lost comes back with all of its events', (t) => {
  const path = copy(pattern.closed)
  const db = new DatabaseSync(path)
  db.exec('DELETE FROM queue')
  db.close()
  const ids = [...salvage(pattern, path).parcels.values()].flat()
  t.ok(['partly-0', ...pattern.settled].every((id) => ids.includes(id)))
  t.end()
})

t.test('what is no database gives nothing', (t) => {
  const path = copy(pattern.closed)
  for (const bytes of [Buffer.alloc(0), Buffer.from('letter'), Buffer.alloc(100_000, 7)]) {
    writeFileSync(path, bytes)
    t.equal(salvage(pattern, path).parcels.size, 0)
  }
  t.end()
})

testSpoiled(t, { pattern, folder, rounds: 20, seed: 1 })

function sorted(parcels: Pattern['pending']): [number, readonly string[]][] {
  return [...parcels].toSorted(([a], [b]) => a - b)
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
