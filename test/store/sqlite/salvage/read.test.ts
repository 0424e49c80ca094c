/** What can be read of a damaged file: everything that is not on the damaged page itself. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { splitEvents } from '../../../../src/store/payload.ts'
import { openPages } from '../../../../src/store/sqlite/salvage/pages.ts'
import { readSalvage } from '../../../../src/store/sqlite/salvage/read.ts'
import { kindOf, SHAPES } from '../../../../src/store/sqlite/salvage/rows.ts'
import { QUEUE_SCHEMA } from '../../../../src/store/sqlite/schema.ts'
import { readWal } from '../../../../src/store/sqlite/wal.ts'
import { createSealer } from '../../../../src/vault/seal.ts'
import { ACCOUNTS, copyStore, createDice, makePattern, type Pattern } from '../damaged.ts'

const pattern = await makePattern(t.testdir({}))
const ALL_EVENTS = new Set([...pattern.pending.values()].flat())
const seed = Number(process.env['DAMAGE_SEED'] ?? Date.now() % 1_000_000)
const dice = createDice(seed)
t.comment(`DAMAGE_SEED=${seed}`)

interface Salvaged {
  readonly parcels: ReadonlyMap<number, readonly string[]>
  readonly isTest: ReadonlyMap<number, boolean>
  readonly letters: readonly string[]
  readonly unreadable: number
}

function salvage(path: string, adAccountIds: readonly string[] = ACCOUNTS): Salvaged {
  using pages = openPages(path)
  const parcels = new Map<number, readonly string[]>()
  const isTest = new Map<number, boolean>()
  const letters: string[] = []
  let unreadable = 0
  for (const step of readSalvage({ pages, sealer: createSealer(pattern.masterKeys), adAccountIds })) {
    unreadable += step.unreadable
    for (const { parcelId, commit } of step.parcels) {
      parcels.set(parcelId, splitEvents(commit.payload).map(eventIdOf))
      isTest.set(parcelId, commit.isTest)
    }
    letters.push(...step.letters.map(({ eventId }) => eventId))
  }
  return { parcels, isTest, letters, unreadable }
}

function eventIdOf(json: string): string {
  return (JSON.parse(json) as { event_id: string }).event_id
}

let copies = 0
function copy(from: string): string {
  return copyStore(from, join(t.testdirName, `copy-${copies++}`))
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
  t.equal(kindOf({ rowId: 1, types: [0, 1], read: () => undefined }), undefined)
  db.close()
  t.end()
})

t.test('of whole files everything comes back, and nothing that was settled', (t) => {
  for (const from of [pattern.closed, pattern.killed]) {
    const before = hashFiles(from)
    const { parcels, isTest, letters, unreadable } = salvage(join(from, 'relay.db'))
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

t.test('one page is spoiled: every parcel that is not on it comes back', (t) => {
  const pagesOf = findPages(join(pattern.closed, 'relay.db'))
  const bytes = readFileSync(join(pattern.closed, 'relay.db'))
  const path = copy(pattern.closed)
  let lost = 0
  for (let pageNumber = 1; pageNumber <= bytes.length / 4096; pageNumber++) {
    const spoiled = Buffer.from(bytes)
    for (let at = 0; at < 4096; at++) spoiled[(pageNumber - 1) * 4096 + at] = dice(256)
    writeFileSync(path, spoiled)
    const { parcels } = salvage(path)
    for (const [parcelId, events] of pattern.pending) {
      if (pagesOf.get(parcelId)!.has(pageNumber)) {
        lost += 1
        continue
      }
      const came = parcels.get(parcelId)
      if (came === undefined || !events.every((id) => came.includes(id))) {
        t.fail(`parcel ${parcelId} is lost with page ${pageNumber}`)
      }
    }
  }
  t.ok(lost > 0)
  t.end()
})

t.test('one frame of the WAL is spoiled: every parcel that is not on its page comes back', (t) => {
  const walPath = join(pattern.killed, 'relay.db-wal')
  const { frames } = readWal(walPath)!
  const bytes = readFileSync(walPath)
  const pagesOf = findPages(join(pattern.closed, 'relay.db'))
  const path = copy(pattern.killed)
  for (let round = 0; round < 60; round++) {
    const frame = frames[dice(frames.length)]!
    const spoiled = Buffer.from(bytes)
    // Anywhere in the frame, its own header as well.
    spoiled[frame.offset - 24 + dice(4096 + 24)]! ^= 1 << dice(8)
    writeFileSync(`${path}-wal`, spoiled)
    const { parcels } = salvage(path)
    for (const parcelId of pattern.pending.keys()) {
      const isOnPage = pagesOf.get(parcelId)!.has(frame.pageNumber)
      if (!isOnPage && !parcels.has(parcelId))
        t.fail(`parcel ${parcelId} is lost with a frame of page ${frame.pageNumber}`)
    }
  }
  t.pass()
  t.end()
})

t.test('a frame of the WAL that claims to be another page takes nothing from that page', (t) => {
  const walPath = join(pattern.killed, 'relay.db-wal')
  const { frames } = readWal(walPath)!
  const bytes = readFileSync(walPath)
  const pagesOf = findPages(join(pattern.closed, 'relay.db'))
  const payloadPages = new Set([...pagesOf.values()].map(([leaf]) => leaf!))
  const path = copy(pattern.killed)
  const frame = frames.at(-1)!
  for (const claimed of payloadPages) {
    const spoiled = Buffer.from(bytes)
    spoiled.writeUInt32BE(claimed, frame.offset - 24)
    writeFileSync(`${path}-wal`, spoiled)
    const { parcels } = salvage(path)
    const lost = [...pattern.pending.keys()].filter(
      (id) => !pagesOf.get(id)!.has(frame.pageNumber) && !parcels.has(id),
    )
    t.strictSame(lost, [], `page ${claimed}`)
  }
  t.end()
})

t.test('a list of free pages that names a page in use takes nothing from it', (t) => {
  const path = copy(pattern.closed)
  const pagesOf = findPages(path)
  const bytes = readFileSync(path)
  const trunk = bytes.readUInt32BE(32)
  t.ok(trunk > 0 && bytes.readUInt32BE((trunk - 1) * 4096 + 4) > 0, 'there are free pages')
  for (const [leaf] of pagesOf.values()) {
    bytes.writeUInt32BE(leaf!, (trunk - 1) * 4096 + 8)
    writeFileSync(path, bytes)
    const { parcels } = salvage(path)
    const lost = [...pattern.pending.keys()].filter((id) => !parcels.has(id))
    if (lost.length > 0) t.fail(`${lost.length} lost with page ${leaf}`)
  }
  t.pass()
  t.end()
})

t.test(
  'files that are flipped and cut at random are read to their end, and give nothing that never was',
  (t) => {
    const path = copy(pattern.killed)
    for (let round = 0; round < 60; round++) {
      for (const ending of ['', '-wal']) {
        const bytes = readFileSync(join(pattern.killed, `relay.db${ending}`))
        for (let flips = dice(200); flips > 0; flips--) bytes[dice(bytes.length)]! ^= 1 << dice(8)
        writeFileSync(path + ending, bytes.subarray(0, dice(3) === 0 ? dice(bytes.length) : bytes.length))
      }
      const { parcels } = salvage(path)
      const known = (id: string) =>
        ALL_EVENTS.has(id) || pattern.settled.includes(id) || id.startsWith('event-')
      for (const [parcelId, ids] of parcels) if (!ids.every(known)) t.fail(`parcel ${parcelId} never was`)
    }
    t.pass()
    t.end()
  },
)

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
      salvage(path).isTest.size,
      pattern.pending.size,
      'the live lane is known, so this is the other',
    )
    change('DELETE FROM lanes')
    const { isTest, unreadable } = salvage(path)
    const live = [...pattern.pending].filter(
      ([, [id]]) => Number(/^event-(\d+)/.exec(id!)?.[1] ?? 0) % 3 !== 1,
    )
    t.strictSame(new Set(isTest.keys()), new Set(live.map(([id]) => id)))
    t.ok([...isTest.values()].every((test) => !test))
    t.equal(unreadable, pattern.pending.size - live.length + pattern.deadIds.length)
    t.equal(salvage(path, []).parcels.size, 0, 'and an account that nobody knows is not found')
    t.end()
  },
)

t.test('a parcel whose row is lost comes back with all of its events', (t) => {
  const path = copy(pattern.closed)
  const db = new DatabaseSync(path)
  db.exec('DELETE FROM queue')
  db.close()
  const ids = [...salvage(path).parcels.values()].flat()
  t.ok(['partly-0', ...pattern.settled].every((id) => ids.includes(id)))
  t.end()
})

t.test('what is no database gives nothing', (t) => {
  const path = copy(pattern.closed)
  for (const bytes of [Buffer.alloc(0), Buffer.from('letter'), Buffer.alloc(100_000, 7)]) {
    writeFileSync(path, bytes)
    t.equal(salvage(path).parcels.size, 0)
  }
  t.end()
})

t.teardown(() => rmSync(t.testdirName, { recursive: true, force: true }))

/** By SQLite's own statistics, and not by what is tested here: the pages that each parcel's payload is on. */
function findPages(path: string): Map<number, Set<number>> {
  const db = new DatabaseSync(path, { readOnly: true })
  const ids = db
    .prepare('SELECT parcel_id FROM payloads ORDER BY parcel_id')
    .all()
    .map((row) => Number(row['parcel_id']))
  const stats = db
    .prepare("SELECT path, pageno, pagetype, ncell FROM dbstat WHERE name = 'payloads' ORDER BY path")
    .all()
  db.close()
  const pagesOf = new Map(ids.map((id) => [id, new Set<number>()]))
  const idsOfLeaf = new Map<string, number[]>()
  let next = 0
  for (const { path: leaf, pageno, pagetype, ncell } of stats) {
    if (pagetype !== 'leaf') continue
    const here = ids.slice(next, (next += Number(ncell)))
    idsOfLeaf.set(String(leaf), here)
    for (const id of here) pagesOf.get(id)!.add(Number(pageno))
  }
  for (const { path: place, pageno, pagetype } of stats) {
    if (pagetype !== 'overflow') continue
    const [, leaf, cell] = /^(.*\/)([0-9a-f]+)\+/.exec(String(place))!
    pagesOf.get(idsOfLeaf.get(leaf!)![Number.parseInt(cell!, 16)]!)!.add(Number(pageno))
  }
  return pagesOf
}

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
