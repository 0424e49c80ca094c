/**
 * Opens a damaged queue for reading through SQLite, without changing it. SQLite gets a hard link to the file in a folder of its
 * own, and beside it a copy of the WAL with new checksums: it stops at the first broken frame and would lose all later commits.
 */
import { constants, copyFileSync, linkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeTables, PAGE_BYTES } from './connection.ts'
import { QUEUE_SCHEMA } from './schema.ts'
import { packWal, readWal, type Wal, type WalFrame } from './wal.ts'

/** Where the first page says how many pages there are. */
const COUNT_OFFSET = 28

/**
 * The file as it is; then with the first page of a fresh queue (all queues have the same but for its counters) and without
 * the broken frames, whose pages are whole there but older. Each is closed when the next one is asked for.
 * The folder must be empty and on the file's disk.
 */
export function* openViews(path: string, folder: string): Generator<DatabaseSync> {
  const linkPath = join(folder, 'queue.db')
  const size = statSync(path).size
  // SQLite does not read a WAL beside an empty file.
  if (size === 0) writeFileSync(linkPath, Buffer.alloc(PAGE_BYTES))
  else linkOrCopy(path, linkPath)
  const wal = readWal(`${path}-wal`)
  const frames = wal === undefined ? [] : listFrames(wal)
  const lastCommit = frames.findLastIndex(({ isSound, commitPages }) => isSound && commitPages > 0)
  const sound = frames.slice(0, lastCommit + 1).filter(({ isSound }) => isSound)

  for (const [chosen, isFresh] of [
    [frames, false],
    [sound, true],
  ] as const) {
    const pages = new Map(chosen.map(({ pageNumber, page }) => [pageNumber, page]))
    const pageCount = Math.max(1, Math.ceil(size / PAGE_BYTES), ...pages.keys())
    if (isFresh) pages.set(1, makeFirstPage(pageCount))
    for (const ending of ['-wal', '-shm']) rmSync(linkPath + ending, { force: true })
    if (pages.size > 0) writeFileSync(`${linkPath}-wal`, packWal(pages, pageCount))
    using db = new DatabaseSync(linkPath, { readOnly: true, defensive: false })
    // Otherwise SQLite refuses a broken row of the schema, or a header that counts too many pages.
    db.exec('PRAGMA writable_schema = ON; PRAGMA trusted_schema = OFF')
    yield db
  }
}

/**
 * The frames of this run, also those whose damaged header says otherwise or whose commit is lost: events that were never
 * answered may be taken.
 */
function listFrames({ frames }: Wal): WalFrame[] {
  const ofThisRun = frames.slice(0, frames.findLastIndex(({ isOfThisRun }) => isOfThisRun) + 1)
  const pages = Math.max(0, ...ofThisRun.filter(({ isSound }) => isSound).map((frame) => frame.commitPages))
  // A flipped bit in the number would make a file of a billion pages.
  const isPlausible = ({ isSound, pageNumber }: WalFrame) =>
    isSound || (pageNumber > 0 && pageNumber <= pages + frames.length)
  return ofThisRun.filter(isPlausible)
}

function makeFirstPage(pageCount: number): Uint8Array {
  using db = new DatabaseSync(':memory:')
  makeTables(db, QUEUE_SCHEMA)
  const page = Buffer.from(db.serialize()).subarray(0, PAGE_BYTES)
  page.writeUInt32BE(pageCount, COUNT_OFFSET)
  return page
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    // Not every file system has links.
    copyFileSync(from, to, constants.COPYFILE_FICLONE)
  }
}
