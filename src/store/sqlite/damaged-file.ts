/**
 * Opens a damaged queue for reading through SQLite, and changes nothing in it. SQLite gets another name of the same
 * file (a hard link, in a folder of its own) and beside it a WAL that is written here: what the real one holds, with
 * checksums that fit; and in a rebuilt view a first page as a fresh queue has it, since all queues of one schema have
 * the same but for its counters, and trees over all leaves of the tables.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  linkSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeTables } from './connection.ts'
import { addTree, readLeaf, toLayers, type Leaf } from './leaf-tree.ts'
import { QUEUE_SCHEMA } from './schema.ts'
import { packWal, readWal, type Wal, type WalFrame } from './wal.ts'

export interface View {
  open(): DatabaseSync
  /** The same with trees that are made anew, in which rows that are gone may show again. Each reads the whole file. */
  rebuild(): Iterable<Pick<View, 'open'>>
}

/** Nothing sets another size. */
const PAGE_BYTES = 4096
/** Where the first page says how many pages there are. */
const COUNT_OFFSET = 28
/** By the number of their columns. */
const REBUILT_TABLES = { payloads: 5, dead_letters: 12, dedupe_blocks: 3 } as const

type Pages = Map<number, Uint8Array>

/** The newest first; one is open at a time. The folder must be empty and on the file's disk. */
export function listViews(path: string, folder: string): View[] {
  const linkPath = join(folder, 'queue.db')
  const size = statSync(path).size
  // SQLite looks for no WAL beside an empty file.
  if (size === 0) writeFileSync(linkPath, Buffer.alloc(PAGE_BYTES))
  else linkOrCopy(path, linkPath)
  const filePages = Math.max(1, Math.ceil(size / PAGE_BYTES))
  const wal = readWal(`${path}-wal`, PAGE_BYTES)
  const frames = wal?.pageBytes === PAGE_BYTES ? listFrames(wal) : []
  const walBytes = frames.length === 0 ? Buffer.alloc(0) : readFileSync(`${path}-wal`)

  function open(pages: Pages): DatabaseSync {
    for (const ending of ['-wal', '-shm']) rmSync(linkPath + ending, { force: true })
    const count = Math.max(filePages, ...pages.keys())
    if (pages.size > 0) writeFileSync(`${linkPath}-wal`, packWal(pages, count, PAGE_BYTES))
    const db = new DatabaseSync(linkPath, { readOnly: true, defensive: false })
    // A schema of which a row is broken, or a header that counts more pages than there are, is no reason to stop.
    db.exec('PRAGMA writable_schema = ON; PRAGMA trusted_schema = OFF')
    return db
  }

  // A frame that does not fit is most likely right but for a bit; the image before it is whole, but older.
  const committed = frames.slice(
    0,
    frames.findLastIndex(({ isSound, commitPages }) => isSound && commitPages > 0) + 1,
  )
  const sound = committed.filter(({ isSound }) => isSound)
  const choices = sound.length === frames.length ? [frames] : [frames, sound]
  return choices.map((chosen) => {
    const pages: Pages = new Map(
      chosen.map(({ pageNumber, offset }) => [pageNumber, walBytes.subarray(offset, offset + PAGE_BYTES)]),
    )
    return {
      open: () => open(pages),
      *rebuild() {
        for (const rebuilt of rebuild(linkPath, pages, filePages)) yield { open: () => open(rebuilt) }
      },
    }
  })
}

/**
 * Those of this run, also where a damaged one says it is not, and where nothing says any more that they were committed:
 * events that nobody was told of may be taken.
 */
function listFrames({ frames }: Wal): WalFrame[] {
  const ofThisRun = frames.slice(0, frames.findLastIndex(({ isOfThisRun }) => isOfThisRun) + 1)
  const pages = Math.max(0, ...ofThisRun.filter(({ isSound }) => isSound).map((frame) => frame.commitPages))
  // A number that was flipped must not make a file of a billion pages.
  const isPlausible = ({ isSound, pageNumber }: WalFrame) =>
    isSound || (pageNumber > 0 && pageNumber <= pages + frames.length)
  return ofThisRun.filter(isPlausible)
}

function* rebuild(path: string, pages: Pages, filePages: number): Generator<Pages> {
  const leaves = listLeaves(path, pages, filePages)
  const layersOf = Object.entries(REBUILT_TABLES).map(
    ([table, columns]) => [table, toLayers(leaves.filter((leaf) => leaf.columns === columns))] as const,
  )
  const count = Math.max(1, ...layersOf.map(([, layers]) => layers.length))
  for (let layer = 0; layer < count; layer++) {
    const rebuilt = new Map(pages)
    const roots: Record<string, number> = {}
    for (const [table, layers] of layersOf) {
      const from = Math.max(filePages, ...rebuilt.keys()) + 1
      const own = layers[layer]
      if (own !== undefined) roots[table] = addTree(rebuilt, own, from, PAGE_BYTES)
    }
    rebuilt.set(1, makeFirstPage(roots, Math.max(filePages, ...rebuilt.keys())))
    yield rebuilt
  }
}

function listLeaves(path: string, pages: Pages, filePages: number): Leaf[] {
  const leaves: Leaf[] = []
  const file = openSync(path, 'r')
  const page = Buffer.alloc(PAGE_BYTES)
  for (let pageNumber = 2; pageNumber <= Math.max(filePages, ...pages.keys()); pageNumber++) {
    const newer = pages.get(pageNumber)
    if (newer !== undefined) page.set(newer)
    else if (readSync(file, page, 0, PAGE_BYTES, (pageNumber - 1) * PAGE_BYTES) < PAGE_BYTES) continue
    const leaf = readLeaf(page, pageNumber)
    if (leaf !== undefined) leaves.push(leaf)
  }
  closeSync(file)
  return leaves
}

function makeFirstPage(roots: Readonly<Record<string, number>>, count: number): Uint8Array {
  using db = new DatabaseSync(':memory:', { defensive: false })
  makeTables(db, QUEUE_SCHEMA)
  db.exec('PRAGMA writable_schema = ON')
  const setRoot = db.prepare('UPDATE sqlite_schema SET rootpage = ? WHERE name = ?')
  for (const [table, root] of Object.entries(roots)) setRoot.run(root, table)
  const page = Buffer.from(db.serialize()).subarray(0, PAGE_BYTES)
  page.writeUInt32BE(count, COUNT_OFFSET)
  return page
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    // Not every disk knows links.
    copyFileSync(from, to, constants.COPYFILE_FICLONE)
  }
}
