/** The rows on a page: cells, their overflow pages, and records, as the file format has them. Damage is skipped. */
import { FILE_HEADER_BYTES, type Pages } from './pages.ts'

export type Value = null | number | string | Buffer

export interface Cell {
  /** Of a table's row; undefined in an index or a table without row ids. */
  readonly rowId: number | undefined
  /** The record's serial types: what its columns are, without reading them. */
  readonly types: readonly number[]
  /** Reads the record, and for it the overflow pages; undefined when they are not there. */
  readonly read: (pages: Pages) => Value[] | undefined
}

const TABLE_LEAF = 0x0d
const INDEX_LEAF = 0x0a
const INDEX_INTERIOR = 0x02

/** A row may have this many bytes in all: a post's body and what becomes of it, with room. */
const LARGEST_ROW_BYTES = 256 * 1024 * 1024

/** Every cell of a leaf of a table, and of any page of an index. */
export function* listCells(page: Buffer, pageNumber: number, usableBytes: number): Generator<Cell> {
  const start = pageNumber === 1 ? FILE_HEADER_BYTES : 0
  const type = page[start]
  if (type !== TABLE_LEAF && type !== INDEX_LEAF && type !== INDEX_INTERIOR) return
  const pointers = start + (type === INDEX_INTERIOR ? 12 : 8)
  const count = Math.min(page.readUInt16BE(start + 3), Math.floor((usableBytes - pointers) / 2))
  for (let index = 0; index < count; index++) {
    const offset = page.readUInt16BE(pointers + 2 * index)
    const cell = offset >= pointers ? readCell(page, offset, type, usableBytes) : undefined
    if (cell !== undefined) yield cell
  }
}

function readCell(page: Buffer, offset: number, type: number, usableBytes: number): Cell | undefined {
  const cursor = { at: offset + (type === INDEX_INTERIOR ? 4 : 0) }
  const size = readVarint(page, cursor)
  const rowId = type === TABLE_LEAF ? readVarint(page, cursor) : undefined
  if (size === undefined || size < 1 || size > LARGEST_ROW_BYTES) return undefined
  if (type === TABLE_LEAF && rowId === undefined) return undefined
  const localBytes = localSize(size, type === TABLE_LEAF, usableBytes)
  const local = page.subarray(cursor.at, cursor.at + localBytes)
  const overflowAt = cursor.at + localBytes
  if (overflowAt + (localBytes < size ? 4 : 0) > usableBytes) return undefined
  const types = readTypes(local)
  if (types === undefined) return undefined
  return {
    rowId,
    types,
    read(pages) {
      if (localBytes === size) return readRecord(local)
      const whole = followChain(pages, local, size, page.readUInt32BE(overflowAt))
      return whole && readRecord(whole)
    },
  }
}

/** How much of a row's bytes stand on its own page. */
function localSize(size: number, isTable: boolean, usableBytes: number): number {
  const most = isTable ? usableBytes - 35 : Math.floor(((usableBytes - 12) * 64) / 255) - 23
  if (size <= most) return size
  const least = Math.floor(((usableBytes - 12) * 32) / 255) - 23
  const wanted = least + ((size - least) % (usableBytes - 4))
  return wanted <= most ? wanted : least
}

function followChain(pages: Pages, local: Buffer, size: number, first: number): Buffer | undefined {
  const parts = [local]
  let left = size - local.length
  let next = first
  while (left > 0) {
    const page = pages.images(next)[0]
    if (page === undefined) return undefined
    const part = page.subarray(4, Math.min(pages.usableBytes, 4 + left))
    parts.push(part)
    left -= part.length
    next = page.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}

interface Cursor {
  at: number
}

/** Undefined past the end. Numbers over 2^53 lose their last digits: none of the store's is as large. */
function readVarint(bytes: Buffer, cursor: Cursor): number | undefined {
  let value = 0n
  for (let index = 0; index < 9; index++) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) return undefined
    if (index === 8) return Number(BigInt.asIntN(64, (value << 8n) | BigInt(byte)))
    value = (value << 7n) | BigInt(byte & 0x7f)
    if (byte < 0x80) return Number(value)
  }
  return undefined
}

function readTypes(record: Buffer): number[] | undefined {
  const cursor = { at: 0 }
  const headerBytes = readVarint(record, cursor)
  if (headerBytes === undefined || headerBytes > record.length) return undefined
  const types: number[] = []
  while (cursor.at < headerBytes) {
    const type = readVarint(record, cursor)
    if (type === undefined) return undefined
    types.push(type)
  }
  return types
}

function readRecord(record: Buffer): Value[] | undefined {
  const types = readTypes(record)
  const headerBytes = readVarint(record, { at: 0 })
  if (types === undefined || headerBytes === undefined) return undefined
  let at = headerBytes
  const values: Value[] = []
  for (const type of types) {
    const bytes = record.subarray(at, at + bytesOf(type))
    if (bytes.length < bytesOf(type)) return undefined
    values.push(readValue(type, bytes))
    at += bytes.length
  }
  return values
}

/** Of whole numbers, by their serial type. */
const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0]

function bytesOf(type: number): number {
  return type < 12 ? (INTEGER_BYTES[type] ?? 0) : Math.floor((type - 12) / 2)
}

function readValue(type: number, bytes: Buffer): Value {
  if (type === 0) return null
  if (type <= 5) return bytes.readIntBE(0, bytes.length)
  if (type === 6) return Number(bytes.readBigInt64BE(0))
  if (type === 7) return bytes.readDoubleBE(0)
  if (type < 12) return type === 9 ? 1 : 0
  return type % 2 === 0 ? bytes : bytes.toString('utf8')
}

export function isInteger(type: number | undefined): boolean {
  return type !== undefined && ((type >= 1 && type <= 6) || type === 8 || type === 9)
}

export function isText(type: number | undefined): boolean {
  return type !== undefined && type >= 13 && type % 2 === 1
}

export function isBlob(type: number | undefined): boolean {
  return type !== undefined && type >= 12 && type % 2 === 0
}
