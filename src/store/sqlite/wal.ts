/**
 * Reads a write-ahead log as https://www.sqlite.org/fileformat2.html#walformat has it, since SQLite stops at the
 * first broken frame and does not say what follows it.
 */
import { readFileSync } from 'node:fs'
import { PAGE_BYTES } from './connection.ts'

export interface WalFrame {
  readonly pageNumber: number
  readonly page: Uint8Array
  /** The queue's size in pages after a commit; 0 for a frame that ends no transaction. */
  readonly commitPages: number
  /** Has the header's salt; other frames are older and were written back. */
  readonly isOfThisRun: boolean
  /** Its checksum fits, given the one before it. */
  readonly isSound: boolean
}

export interface Wal {
  readonly isHeaderSound: boolean
  readonly frames: readonly WalFrame[]
}

export const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
export const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
/** With checksums of little-endian numbers, which all machines write that the relay runs on. */
const MAGIC = 0x377f0682
const WAL_VERSION = 3007000
const SALTS_BYTES = 8

/** Undefined when there is none, nothing in it, or pages of another size. */
export function readWal(path: string): Wal | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch {
    return undefined
  }
  if (bytes.byteLength <= HEADER_BYTES) return undefined
  const isHeaderSound =
    bytes.readUInt32BE(0) === MAGIC && isSame(sumUp([0, 0], bytes.subarray(0, 24)), storedSum(bytes, 24))
  if (isHeaderSound && bytes.readUInt32BE(8) !== PAGE_BYTES) return undefined

  const frames: WalFrame[] = []
  const saltsOf = (header: Buffer, at: number) => header.subarray(at, at + SALTS_BYTES)
  const salts = isHeaderSound ? saltsOf(bytes, 16) : saltsOf(bytes, HEADER_BYTES + 8)
  let before = storedSum(bytes, 24)
  for (let at = HEADER_BYTES; at + FRAME_BYTES <= bytes.byteLength; at += FRAME_BYTES) {
    const frame = bytes.subarray(at, at + FRAME_BYTES)
    const page = frame.subarray(FRAME_HEADER_BYTES)
    const stored = storedSum(frame, 16)
    const isOfThisRun = salts.equals(saltsOf(frame, 8))
    // Older frames need no checksum.
    const isSound = isOfThisRun && isSame(sumUp(sumUp(before, frame.subarray(0, 8)), page), stored)
    const [pageNumber, commitPages] = [frame.readUInt32BE(0), frame.readUInt32BE(4)]
    frames.push({ pageNumber, page, commitPages, isOfThisRun, isSound })
    before = stored
  }
  return { isHeaderSound, frames }
}

/**
 * Whether SQLite would lose transactions that were synced. A power cut may break frames of the last transaction, which was not
 * answered yet; then no later frame of this run follows.
 */
export function isWalDamaged(path: string): boolean {
  const wal = readWal(path)
  if (wal === undefined) return false
  const { isHeaderSound, frames } = wal
  if (!isHeaderSound) return frames.some(({ isSound, isOfThisRun }) => isSound && isOfThisRun)
  const broken = frames.findIndex(({ isSound, isOfThisRun }) => !isSound || !isOfThisRun)
  if (broken < 0) return false
  let isAfterCommit = frames[broken]!.commitPages > 0
  for (const { isSound, isOfThisRun, commitPages } of frames.slice(broken + 1)) {
    if (!isSound || !isOfThisRun) continue
    if (isAfterCommit) return true
    isAfterCommit = commitPages > 0
  }
  return false
}

/** Makes a WAL of one transaction that sets these pages, after which the file has `count` pages. */
export function packWal(pages: ReadonlyMap<number, Uint8Array>, count: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  for (const [index, field] of [MAGIC, WAL_VERSION, PAGE_BYTES].entries())
    header.writeUInt32BE(field, 4 * index)
  let sum = storeSum(sumUp([0, 0], header.subarray(0, 24)), header, 24)
  const parts = [header]
  for (const [pageNumber, page] of pages) {
    const frame = Buffer.alloc(FRAME_BYTES)
    frame.writeUInt32BE(pageNumber, 0)
    frame.set(page, FRAME_HEADER_BYTES)
    if (parts.push(frame) > pages.size) frame.writeUInt32BE(count, 4)
    sum = sumUp(sumUp(sum, frame.subarray(0, 8)), frame.subarray(FRAME_HEADER_BYTES))
    storeSum(sum, frame, 16)
  }
  return Buffer.concat(parts)
}

type Sum = readonly [number, number]

function sumUp([first, second]: Sum, bytes: Buffer): Sum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.byteLength; at += 8) {
    first = (first + view.getUint32(at, true) + second) >>> 0
    second = (second + view.getUint32(at + 4, true) + first) >>> 0
  }
  return [first, second]
}

function storeSum(sum: Sum, bytes: Buffer, offset: number): Sum {
  for (const [index, part] of sum.entries()) bytes.writeUInt32BE(part, offset + 4 * index)
  return sum
}

function storedSum(bytes: Buffer, offset: number): Sum {
  return [bytes.readUInt32BE(offset), bytes.readUInt32BE(offset + 4)]
}

function isSame(one: Sum, other: Sum): boolean {
  return one[0] === other[0] && one[1] === other[1]
}
