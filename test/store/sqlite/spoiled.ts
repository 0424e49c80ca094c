/**
 * Files that are spoiled in all kinds of ways, and what `recover` brings back of them. `npm test` does it with a small
 * file; the long form with a larger one, more often, at other places.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import { splitEvents } from '../../../src/store/payload.ts'
import { openViews } from '../../../src/store/sqlite/damaged-file.ts'
import { recover } from '../../../src/store/sqlite/recover.ts'
import { FRAME_BYTES, HEADER_BYTES, readWal, type WalFrame } from '../../../src/store/sqlite/wal.ts'
import { createSealer } from '../../../src/vault/seal.ts'
import { copyStore, createDice, type Pattern } from './damaged.ts'

export interface Recovered {
  /** Event ids by group. */
  readonly groups: ReadonlyMap<number, readonly string[]>
  readonly isTest: ReadonlyMap<number, boolean>
  readonly deadLetters: readonly string[]
  readonly unreadable: number
}

export function readDamaged({ masterKeys }: Pattern, path: string): Recovered {
  const folder = `${path}.recovering`
  mkdirSync(folder)
  const groups = new Map<number, readonly string[]>()
  const isTest = new Map<number, boolean>()
  const deadLetters: string[] = []
  let unreadable = 0
  try {
    for (const step of recover(openViews(path, folder), createSealer(masterKeys))) {
      unreadable += step.unreadable
      for (const { batchId, batch } of step.batches) {
        if (groups.has(batchId)) throw new Error(`group ${batchId} comes twice`)
        groups.set(batchId, splitEvents(batch.payload).map(eventIdOf))
        isTest.set(batchId, batch.isTest)
      }
      deadLetters.push(...step.deadLetters.map((row) => row.event_id))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  return { groups, isTest, deadLetters, unreadable }
}

function offsetOf(frames: readonly WalFrame[], frame: WalFrame): number {
  return HEADER_BYTES + FRAME_BYTES * frames.indexOf(frame)
}

function eventIdOf(json: string): string {
  return (JSON.parse(json) as { event_id: string }).event_id
}

export interface SpoiledOptions {
  readonly pattern: Pattern
  /** Where copies may be made. */
  readonly folder: string
  /** Of the tests that choose places at random. */
  readonly rounds: number
  readonly seed: number
  /** Of the test that spoils one page after the other: 1 for all of them. */
  readonly nthPage: number
}

export function testSpoiled(t: Test, { pattern, folder, rounds, seed, nthPage }: SpoiledOptions): void {
  const dice = createDice(seed)
  const allEvents = new Set([...pattern.pending.values()].flat())
  const read = (path: string) => readDamaged(pattern, path)
  let copies = 0
  const copy = (from: string) => copyStore(from, join(folder, `spoiled-${copies++}`))

  t.test('one page is spoiled: every group that is not on it, or below it, comes back', (t) => {
    const pagesOf = findPages(join(pattern.closed, 'relay.db'))
    const bytes = readFileSync(join(pattern.closed, 'relay.db'))
    const path = copy(pattern.closed)
    let lost = 0
    for (let pageNumber = 1; pageNumber <= bytes.length / 4096; pageNumber += nthPage) {
      const spoiled = Buffer.from(bytes)
      for (let at = 0; at < 4096; at++) spoiled[(pageNumber - 1) * 4096 + at] = dice(256)
      writeFileSync(path, spoiled)
      const { groups } = read(path)
      for (const [batchId, events] of pattern.pending) {
        if (pagesOf.get(batchId)!.has(pageNumber)) {
          lost += 1
          continue
        }
        const came = groups.get(batchId)
        if (came === undefined || !events.every((id) => came.includes(id))) {
          t.fail(`group ${batchId} is lost with page ${pageNumber}`)
        }
      }
    }
    t.ok(lost > 0)
    t.end()
  })

  t.test('one frame of the WAL is spoiled: every group that is not on its page comes back', (t) => {
    const walPath = join(pattern.killed, 'relay.db-wal')
    const { frames } = readWal(walPath)!
    const bytes = readFileSync(walPath)
    const pagesOf = findPages(join(pattern.closed, 'relay.db'))
    const path = copy(pattern.killed)
    for (let round = 0; round < rounds; round++) {
      const frame = frames[dice(frames.length)]!
      const spoiled = Buffer.from(bytes)
      // Anywhere in the frame, its own header as well.
      spoiled[offsetOf(frames, frame) + dice(FRAME_BYTES)]! ^= 1 << dice(8)
      writeFileSync(`${path}-wal`, spoiled)
      const { groups } = read(path)
      for (const batchId of pattern.pending.keys()) {
        const isOnPage = pagesOf.get(batchId)!.has(frame.pageNumber)
        if (!isOnPage && !groups.has(batchId))
          t.fail(
            `group ${batchId} is lost with frame ${frames.indexOf(frame)} of ${frames.length}, of page ${frame.pageNumber}`,
          )
      }
    }
    t.pass()
    t.end()
  })

  t.test('one bit of a page in the WAL is flipped: its other groups come back as well', (t) => {
    const walPath = join(pattern.killed, 'relay.db-wal')
    const { frames } = readWal(walPath)!
    const pagesOf = findPages(join(pattern.closed, 'relay.db'))
    const leaves = [...pagesOf.values()].map(([leaf]) => leaf!)
    const fullLeaves = new Set(leaves.filter((leaf) => leaves.filter((other) => other === leaf).length > 4))
    t.ok(fullLeaves.size > 0)
    const path = copy(pattern.killed)
    for (const leaf of [...fullLeaves].slice(0, 3)) {
      const frame = frames.findLast(({ pageNumber }) => pageNumber === leaf)!
      const bytes = readFileSync(walPath)
      // The end of the page is the end of a row.
      bytes[offsetOf(frames, frame) + FRAME_BYTES - 1]! ^= 1
      writeFileSync(`${path}-wal`, bytes)
      const { groups } = read(path)
      const lost = [...pattern.pending.keys()].filter((id) => !groups.has(id))
      t.ok(lost.length <= 1, `${lost.length} lost with page ${leaf}`)
    }
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
      spoiled.writeUInt32BE(claimed, offsetOf(frames, frame))
      writeFileSync(`${path}-wal`, spoiled)
      const { groups } = read(path)
      const lost = [...pattern.pending.keys()].filter(
        (id) => !pagesOf.get(id)!.has(frame.pageNumber) && !groups.has(id),
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
    for (const leaf of new Set([...pagesOf.values()].map(([leaf]) => leaf!))) {
      bytes.writeUInt32BE(leaf, (trunk - 1) * 4096 + 8)
      writeFileSync(path, bytes)
      const { groups } = read(path)
      const lost = [...pattern.pending.keys()].filter((id) => !groups.has(id))
      if (lost.length > 0) t.fail(`${lost.length} lost with page ${leaf}`)
    }
    t.pass()
    t.end()
  })

  t.test(
    'files that are flipped and cut at random are read to their end, and give nothing that never was',
    (t) => {
      const path = copy(pattern.killed)
      for (let round = 0; round < rounds; round++) {
        for (const ending of ['', '-wal']) {
          const bytes = readFileSync(join(pattern.killed, `relay.db${ending}`))
          for (let flips = dice(200); flips > 0; flips--) bytes[dice(bytes.length)]! ^= 1 << dice(8)
          writeFileSync(path + ending, bytes.subarray(0, dice(3) === 0 ? dice(bytes.length) : bytes.length))
        }
        const { groups } = read(path)
        const known = (id: string) =>
          allEvents.has(id) || pattern.acknowledged.includes(id) || id.startsWith('event-')
        for (const [batchId, ids] of groups)
          if (!ids.every(known)) t.fail(`round ${round}: group ${batchId} never was`)
      }
      t.pass()
      t.end()
    },
  )
}

/**
 * By SQLite's own statistics, and not by what is tested here: the pages that each batch's payload is on, and those that
 * lead there.
 */
export function findPages(path: string): Map<number, Set<number>> {
  const db = new DatabaseSync(path, { readOnly: true })
  const ids = db
    .prepare('SELECT batch_id FROM batches ORDER BY batch_id')
    .all()
    .map((row) => Number(row['batch_id']))
  const stats = db
    .prepare("SELECT path, pageno, pagetype, ncell FROM dbstat WHERE name = 'batches' ORDER BY path")
    .all()
  db.close()
  const pagesOf = new Map(ids.map((id) => [id, new Set<number>()]))
  const idsOfLeaf = new Map<string, number[]>()
  let next = 0
  const interior = stats.filter(({ pagetype }) => pagetype === 'internal')
  for (const { path: leaf, pageno, pagetype, ncell } of stats) {
    if (pagetype !== 'leaf') continue
    const above = interior.filter(({ path: place }) => String(leaf).startsWith(String(place)))
    const here = ids.slice(next, (next += Number(ncell)))
    idsOfLeaf.set(String(leaf), here)
    for (const page of [pageno, ...above.map((one) => one['pageno'])]) {
      for (const id of here) pagesOf.get(id)!.add(Number(page))
    }
  }
  for (const { path: place, pageno, pagetype } of stats) {
    if (pagetype !== 'overflow') continue
    const [, leaf, cell] = /^(.*\/)([0-9a-f]+)\+/.exec(String(place))!
    pagesOf.get(idsOfLeaf.get(leaf!)![Number.parseInt(cell!, 16)]!)!.add(Number(pageno))
  }
  return pagesOf
}
