/**
 * Knows the live events that were delivered or are queued, by 16 bytes of SHA-256 each.
 *
 * The keys of a batch are one row, and an index in memory, built from the rows at the start, maps a key to its row. A table
 * by key dirties a page per event. Measured with a million keys there and a row per transaction, which takes the same CPU time;
 * commits of 600 bytes an event included, per event:
 *
 *                         rows and index                       a table by key (WITHOUT ROWID)
 *   posts of 1 event      13 µs CPU, 1.6 KB written            30 µs, 9.7 KB
 *   posts of 100 events    4 µs,     0.7 KB, 92,000 a second   20 µs, 8.9 KB, 13,000 a second
 *   memory                12 bytes a key, at most 25 MiB       the page cache
 *
 * Keys that do not fit into the index are in a table by key.
 */
import type { DatabaseSync } from 'node:sqlite'
import { DEDUPE_KEY_BYTES as KEY_BYTES } from '../core/sealed.ts'
import type { Claim, Dedupe } from '../core/transaction.ts'
import { createDedupeIndex, type DedupeIndex } from './dedupe-index.ts'
import { StoreDamaged } from './failures.ts'

interface KeysRow {
  /** From 1. */
  readonly row_id: number
  readonly batch_id: number
  readonly seen_at_ms: number
  /** The keys' bytes, one after the other. */
  readonly keys: Uint8Array
}

interface HexRow {
  readonly row_id: number
  readonly hex: string | null
}

/** Rows from here on were written while the index was full: all their keys are in the overflow table, and no start reads them. */
const FIRST_OVERFLOW_ROW = 2 ** 32

/** Keys that one step of trimming reads: a few milliseconds. */
const STEP_KEYS = 1024

/** `undo`: what a rollback has to do, the last first. */
export function createDedupe(
  db: DatabaseSync,
  undo: (() => void)[],
  index: DedupeIndex = createDedupeIndex(),
): Dedupe {
  const overflow = createOverflow(db)
  const listAfter = db.prepare('SELECT * FROM dedupe_rows WHERE row_id > ? ORDER BY row_id')
  // As text: of each blob a buffer is made, which takes twice as long as the rest. A million rows: 3 s instead of 5.
  const listHex = db.prepare(`SELECT row_id, CASE typeof(keys) WHEN 'blob' THEN hex(keys) END AS hex
     FROM dedupe_rows WHERE row_id < ${FIRST_OVERFLOW_ROW} ORDER BY row_id`)
  const selectLast = db.prepare('SELECT MAX(row_id) AS row_id FROM dedupe_rows')
  const select = db.prepare('SELECT * FROM dedupe_rows WHERE row_id = ?')
  const insert = db.prepare(
    'INSERT INTO dedupe_rows (row_id, batch_id, seen_at_ms, keys) VALUES (?, ?, ?, ?)',
  )
  const update = db.prepare('UPDATE dedupe_rows SET keys = ? WHERE row_id = ?')
  const remove = db.prepare(`DELETE FROM dedupe_rows WHERE row_id > ? AND row_id <= ?
       AND batch_id NOT IN (SELECT batch_id FROM batches) RETURNING *`)
  const selectQueued = db.prepare('SELECT 1 FROM batches WHERE batch_id = ?')

  let nextRow = 1
  let nextOverflowRow = Math.max(FIRST_OVERFLOW_ROW, Number(selectLast.get()!['row_id'] ?? 0) + 1)
  /** What is claimed now: a row once all its keys are known. */
  let fresh = { row_id: 0, keys: [] as Uint8Array[] }
  /** What was read last: the events of a repeated post are in the same row. */
  let last: KeysRow | undefined

  // One transaction: an index that is smaller than before writes each key that it has no room for.
  db.exec('BEGIN')
  for (const { row_id: rowId, hex } of listHex.iterate() as Iterable<HexRow>) {
    nextRow = rowId + 1
    for (const key of keysOf({ keys: hex === null ? hex : Buffer.from(hex, 'hex') })) addKey(key, rowId)
  }
  db.exec('COMMIT')

  function read(rowId: number): KeysRow | undefined {
    return last?.row_id === rowId ? last : (last = select.get(rowId) as KeysRow | undefined)
  }

  function addKey(key: Uint8Array, rowId: number): void {
    // Of two keys with the same first half the index knows one.
    if (index.isFull(rowId) || index.find(key) !== undefined) overflow.add(key, rowId)
    else index.add(key, rowId)
  }

  /** The index knows only the first half of a key: the row shows whether it is this one. */
  function rowOf(key: Uint8Array): number | undefined {
    const rowId = index.find(key)
    if (rowId === undefined) return overflow.rowOf(key)
    const isHere =
      rowId === fresh.row_id
        ? fresh.keys.findLast((one) => Buffer.compare(one, key) === 0) !== undefined
        : findKey(read(rowId), key) >= 0
    return isHere ? rowId : overflow.rowOf(key)
  }

  function batchOf(key: Uint8Array): number {
    return read(rowOf(key) ?? 0)?.batch_id ?? 0
  }

  function claim({ batchId, seenAtMs, keys }: Claim): number[] {
    const isOverflow = index.isFull(nextRow)
    const rowId = isOverflow ? nextOverflowRow : nextRow
    const added: Uint8Array[] = []
    fresh = { row_id: rowId, keys: added }
    undo.push(() => {
      for (const key of added) index.remove(key, rowId)
    })
    const known: number[] = []
    for (const [position, key] of keys.entries()) {
      if (rowOf(key) === undefined) {
        addKey(key, rowId)
        added.push(key)
      } else known.push(position)
    }
    if (added.length > 0) {
      insert.run(rowId, batchId, seenAtMs, Buffer.concat(added))
      if (isOverflow) nextOverflowRow++
      else nextRow++
    }
    fresh = { row_id: 0, keys: [] }
    return known
  }

  function removeKeys(rowId: number, keys: readonly Uint8Array[]): void {
    last = undefined
    const inIndex = keys.filter((key) => index.remove(key, rowId))
    for (const key of keys) overflow.remove(key)
    undo.push(() => {
      for (const key of inIndex) index.add(key, rowId)
      last = undefined
    })
  }

  return {
    *claim(claims) {
      return claims.map(claim)
    },
    *pendingOf(keys) {
      return keys.map(batchOf).map((batchId) => (selectQueued.get(batchId) ? batchId : undefined))
    },
    *forget(keys) {
      const own = keys.filter(({ key, batchId }) => batchOf(key) === batchId)
      for (const [rowId, forgotten] of Map.groupBy(own, ({ key }) => rowOf(key)!)) {
        const row = read(rowId)
        const gone = new Set(forgotten.map(({ key }) => findKey(row, key)))
        const kept = keysOf(row!).filter((_, nth) => !gone.has(nth * KEY_BYTES))
        update.run(Buffer.concat(kept), rowId)
        removeKeys(
          rowId,
          forgotten.map(({ key }) => key),
        )
      }
    },
    *trim({ seenBeforeMs, after }) {
      let [end, count] = [after, 0]
      for (const row of listAfter.iterate(after) as Iterable<KeysRow>) {
        if (row.seen_at_ms >= seenBeforeMs || count >= STEP_KEYS) break
        end = row.row_id
        // A row whose keys were all forgotten counts, too.
        count += 1 + keysOf(row).length
      }
      for (const row of remove.all(after, end) as Iterable<KeysRow>) removeKeys(row.row_id, keysOf(row))
      if (count > 0) return end
      return after < FIRST_OVERFLOW_ROW - 1 ? FIRST_OVERFLOW_ROW - 1 : undefined
    },
  }
}

/** Each key that is added dirties a page of its own, which is 5 µs and 8 KiB written. */
function createOverflow(db: DatabaseSync) {
  // Each start with a smaller index adds the same keys again.
  const insert = db.prepare('INSERT INTO dedupe_overflow (key, row_id) VALUES (?, ?) ON CONFLICT DO NOTHING')
  const select = db.prepare('SELECT row_id FROM dedupe_overflow WHERE key = ?')
  const remove = db.prepare('DELETE FROM dedupe_overflow WHERE key = ?')
  /** Most stores never have one: then it is not searched. */
  let isUsed = db.prepare('SELECT 1 FROM dedupe_overflow LIMIT 1').get() !== undefined

  return {
    add(key: Uint8Array, rowId: number): void {
      isUsed = true
      insert.run(key, rowId)
    },
    rowOf: (key: Uint8Array) => (isUsed ? (select.get(key)?.['row_id'] as number | undefined) : undefined),
    remove(key: Uint8Array): void {
      if (isUsed) remove.run(key)
    },
  }
}

/** Views of the same bytes. SQLite does not check types when it reads: a damaged page can have NULL in a NOT NULL column. */
function keysOf({ keys }: { readonly keys: Uint8Array | null }): Uint8Array[] {
  if (!(keys instanceof Uint8Array)) throw new StoreDamaged('keys of seen events are no keys')
  const all: Uint8Array[] = []
  for (let at = KEY_BYTES; at <= keys.byteLength; at += KEY_BYTES) all.push(keys.subarray(at - KEY_BYTES, at))
  return all
}

/** Where the key begins among the row's bytes, or -1. */
function findKey(row: KeysRow | undefined, key: Uint8Array): number {
  if (row === undefined) return -1
  const { keys } = row
  if (!((keys as unknown) instanceof Uint8Array)) throw new StoreDamaged('keys of seen events are no keys')
  const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength)
  let at = bytes.indexOf(key)
  while (at % KEY_BYTES > 0) at = bytes.indexOf(key, at + 1)
  return at
}
