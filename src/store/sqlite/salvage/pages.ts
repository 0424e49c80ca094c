/**
 * The pages of a SQLite file that may be damaged, with its WAL, read without SQLite and without changing anything
 * (https://www.sqlite.org/fileformat2.html). A page's newest image is what the last committed frame of the WAL has, or
 * the file; where a frame's checksum does not fit, the image before it is there as well.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { readWal, type Wal, type WalFrame } from '../wal.ts'

export interface Pages extends Disposable {
  readonly count: number
  /** Bytes of a page that SQLite uses. */
  readonly usableBytes: number
  /** Newest first; empty for a page that is not there. */
  images(pageNumber: number): readonly Buffer[]
  /** Whether the page holds nothing any more: what it says is of rows that are gone. */
  isFree(pageNumber: number): boolean
}

/** The first page begins with the file's own header. */
export const FILE_HEADER_BYTES = 100
const DEFAULT_PAGE_BYTES = 4096
const SMALLEST_PAGE_BYTES = 512
const LARGEST_PAGE_BYTES = 65_536
const TABLE_INTERIOR = 0x05

export function openPages(path: string): Pages {
  const file = openSync(path, 'r')
  const header = Buffer.alloc(FILE_HEADER_BYTES)
  readSync(file, header, 0, header.length, 0)
  const wal = readWal(`${path}-wal`, readPageBytes(header) ?? DEFAULT_PAGE_BYTES)
  const pageBytes = (wal?.isHeaderSound ? wal.pageBytes : readPageBytes(header)) ?? DEFAULT_PAGE_BYTES
  const walFile = wal === undefined ? undefined : openSync(`${path}-wal`, 'r')
  const frames = wal === undefined ? new Map<number, WalFrame[]>() : newestFrames(wal)
  const filePages = Math.ceil(fstatSync(file).size / pageBytes)
  const count = Math.max(filePages, ...frames.keys())

  function images(pageNumber: number): Buffer[] {
    const found: Buffer[] = []
    for (const { offset, isSound } of frames.get(pageNumber) ?? []) {
      found.push(readPage(walFile!, offset))
      if (isSound) return found
    }
    if (pageNumber >= 1 && pageNumber <= filePages) found.push(readPage(file, (pageNumber - 1) * pageBytes))
    return found
  }

  function readPage(from: number, offset: number): Buffer {
    // What the file's end has cut off is zeros.
    const page = Buffer.alloc(pageBytes)
    readSync(from, page, 0, pageBytes, offset)
    return page
  }

  const read = (pageNumber: number) => images(pageNumber)[0]
  const free = listFree(read, count)
  const children = free.size === 0 ? free : listChildren(read, count, free)
  return {
    count,
    // What is reserved on each page: the relay's files reserve nothing.
    usableBytes: pageBytes,
    images,
    isFree: (pageNumber) => free.has(pageNumber) && !children.has(pageNumber),
    [Symbol.dispose]() {
      closeSync(file)
      if (walFile !== undefined) closeSync(walFile)
    },
  }
}

function readPageBytes(header: Buffer): number | undefined {
  const stored = header.readUInt16BE(16)
  const bytes = stored === 1 ? LARGEST_PAGE_BYTES : stored
  const isPower = (bytes & (bytes - 1)) === 0
  return isPower && bytes >= SMALLEST_PAGE_BYTES ? bytes : undefined
}

/** Up to the last commit; a frame that does not fit may be a commit all the same. Newest first for each page. */
function newestFrames({ frames }: Wal): Map<number, WalFrame[]> {
  const ofThisRun = frames.filter(({ isOfThisRun }) => isOfThisRun)
  const lastCommit = ofThisRun.findLastIndex(({ commitPages }) => commitPages > 0)
  const pages = Math.max(0, ...ofThisRun.filter(({ isSound }) => isSound).map((frame) => frame.commitPages))
  const newest = new Map<number, WalFrame[]>()
  for (const frame of ofThisRun.slice(0, lastCommit + 1)) {
    // A number that was flipped must not make a file of a billion pages.
    if (!frame.isSound && frame.pageNumber > pages + frames.length) continue
    const before = newest.get(frame.pageNumber)
    if (before === undefined || frame.isSound) newest.set(frame.pageNumber, [frame])
    else before.unshift(frame)
  }
  return newest
}

type ReadPage = (pageNumber: number) => Buffer | undefined

/** The pages of the list of free ones; none at all when the list contradicts itself. */
function listFree(read: ReadPage, count: number): Set<number> {
  const free = new Set<number>()
  const first = read(1)
  const announced = first?.readUInt32BE(36) ?? 0
  let trunk = first?.readUInt32BE(32) ?? 0
  const add = (pageNumber: number) => {
    const isNew = pageNumber > 1 && pageNumber <= count && !free.has(pageNumber)
    if (isNew) free.add(pageNumber)
    return isNew
  }
  while (trunk !== 0) {
    const page = add(trunk) ? read(trunk) : undefined
    if (page === undefined) return new Set()
    const leaves = page.readUInt32BE(4)
    if (leaves > page.length / 4 - 2) return new Set()
    for (let index = 0; index < leaves; index++) {
      if (!add(page.readUInt32BE(8 + 4 * index))) return new Set()
    }
    trunk = page.readUInt32BE(0)
  }
  return free.size === announced ? free : new Set()
}

/** Pages that a table still refers to, whatever a damaged list of free ones says. */
function listChildren(read: ReadPage, count: number, free: ReadonlySet<number>): Set<number> {
  const children = new Set<number>()
  for (let pageNumber = 2; pageNumber <= count; pageNumber++) {
    const page = free.has(pageNumber) ? undefined : read(pageNumber)
    if (page?.[0] !== TABLE_INTERIOR) continue
    children.add(page.readUInt32BE(8))
    const cells = Math.min(page.readUInt16BE(3), (page.length - 12) / 2)
    for (let index = 0; index < cells; index++) {
      const cell = page.readUInt16BE(12 + 2 * index)
      if (cell + 4 <= page.length) children.add(page.readUInt32BE(cell))
    }
  }
  return children
}
