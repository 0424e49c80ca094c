/** The keys that one transaction saw first, one behind the other: 16 bytes of key and 8 of batch id each. */
import { StoreDamaged } from './failures.ts'

export const KEY_BYTES = 16
const ENTRY_BYTES = 24

/** A batch id that no batch has: the entry was forgotten. */
const NOBODY = 0

export interface DedupeEntry {
  readonly key: Uint8Array
  readonly batchId: number
}

export function packEntries(entries: readonly DedupeEntry[]): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES * entries.length)
  const view = new DataView(bytes.buffer)
  for (const [index, { key, batchId }] of entries.entries()) {
    bytes.set(key, ENTRY_BYTES * index)
    view.setFloat64(ENTRY_BYTES * index + KEY_BYTES, batchId)
  }
  return bytes
}

/** Views of the same bytes. Those that were forgotten are left out. */
export function* listEntries(bytes: Uint8Array): Generator<DedupeEntry> {
  assertBytes(bytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + ENTRY_BYTES <= bytes.byteLength; at += ENTRY_BYTES) {
    const batchId = view.getFloat64(at + KEY_BYTES)
    if (batchId !== NOBODY) yield { key: bytes.subarray(at, at + KEY_BYTES), batchId }
  }
}

/** The batch that the key belongs to; undefined when the key is not there. */
export function findBatch(bytes: Uint8Array, key: Uint8Array): number | undefined {
  const at = placeOf(bytes, key)
  return at === undefined
    ? undefined
    : new DataView(bytes.buffer, bytes.byteOffset).getFloat64(at + KEY_BYTES)
}

/** Forgets the key, in place. */
export function blankKey(bytes: Uint8Array, key: Uint8Array): void {
  const at = placeOf(bytes, key)
  if (at !== undefined) new DataView(bytes.buffer, bytes.byteOffset).setFloat64(at + KEY_BYTES, NOBODY)
}

/** Where the key's entry begins, unless it was forgotten. */
function placeOf(bytes: Uint8Array, key: Uint8Array): number | undefined {
  assertBytes(bytes)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = buffer.indexOf(key); at >= 0; at = buffer.indexOf(key, at + 1)) {
    const isWhole = at % ENTRY_BYTES === 0
    if (isWhole && view.getFloat64(at + KEY_BYTES) !== NOBODY) return at
  }
  return undefined
}

/** SQLite does not look at the types of what it reads: a damaged page can have NULL in a column that allows none. */
function assertBytes(value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw new StoreDamaged('a block of seen events is no block')
}
