/**
 * Knows the live events that were delivered or are queued, by 16 bytes of SHA-256 each.
 *
 * The keys of a batch are one row, and an index in memory, built from the rows at the start, leads from a key to its row. A table
 * by key dirties a page per event. Measured with a million keys there, commits of 600 bytes an event included, per event:
 *
 *                         rows and index                       a table by key (WITHOUT ROWID)
 *   posts of 1 event      13 µs CPU, 1.6 KB written            30 µs, 9.7 KB
 *   posts of 100 events    4 µs,     0.7 KB, 92,000 a second   20 µs, 8.9 KB, 13,000 a second
 *   memory                12 bytes a key, at most 25 MiB       the page cache
 *
 * The table by key is left for what the index has no room for.
 */
import type { DatabaseSync } from 'node:sqlite'
import { DEDUPE_KEY_BYTES as KEY_BYTES } from '../core/sealed.ts'
import type { Dedupe, DedupeKey } from '../core/transaction.ts'
import { prepare } from './connection.ts'
import { createDedupeIndex, type DedupeIndex } from './dedupe-index.ts'
import { StoreDamaged } from './failures.ts'

interface KeysRow {
  /** From 1. */
  readonly row_id: number
  readonly batch_id: number
  readonly seen_at_ms: number
  /** One after the other. */
  readonly keys: Uint8Array
}

/** That one step of forgetting looks at: a few milliseconds. */
const STEP_KEYS = 1024
/** Greater than every key: bytes compare like text, and the longer one is greater. */
const PAST_EVERY_KEY = new Uint8Array(KEY_BYTES + 1).fill(0xff)
const NOT_QUEUED = 'batch_id NOT IN (SELECT batch_id FROM batches)'

/** `undo`: what a rollback has to do, the last first. */
export function createDedupe(
  db: DatabaseSync,
  undo: (() => void)[],
  index: DedupeIndex = createDedupeIndex(),
): Dedupe {
  const table = createTable(db)
  const listAfter = prepare<KeysRow>(db, 'SELECT * FROM dedupe_rows WHERE row_id > ? ORDER BY row_id')
  // As text: of each blob a buffer is made, which takes twice as long as the rest. A million rows: 3 s instead of 5.
  const listHex = prepare<{ row_id: number; hex: string | null }>(
    db,
    `SELECT row_id, CASE typeof(keys) WHEN 'blob' THEN hex(keys) END AS hex FROM dedupe_rows ORDER BY row_id`,
  )
  const select = prepare<KeysRow>(db, 'SELECT * FROM dedupe_rows WHERE row_id = ?')
  const insert = db.prepare(
    'INSERT INTO dedupe_rows (row_id, batch_id, seen_at_ms, keys) VALUES (?, ?, ?, ?)',
  )
  const update = db.prepare('UPDATE dedupe_rows SET keys = ? WHERE row_id = ?')
  const remove = prepare<KeysRow>(
    db,
    `DELETE FROM dedupe_rows WHERE row_id > ? AND row_id <= ? AND ${NOT_QUEUED} RETURNING *`,
  )
  const selectQueued = prepare<object>(db, 'SELECT 1 FROM batches WHERE batch_id = ?')

  /** What is claimed now: a row once all its keys are known. */
  let fresh = { row_id: 1, batch_id: 0, keys: [] as Uint8Array[] }
  /** What was read last: the events of a repeated post are in the same row. */
  let last: KeysRow | undefined

  for (const { row_id: rowId, hex } of listHex.iterate()) {
    fresh.row_id = rowId + 1
    for (const key of keysOf({ keys: hex === null ? hex : Buffer.from(hex, 'hex') })) {
      if (!index.isFull(rowId)) index.add(key, rowId)
      else {
        // It was larger when they were written.
        const { batch_id: batchId, seen_at_ms: seenAtMs } = read(rowId)!
        table.add(key, batchId, seenAtMs)
      }
    }
  }

  function read(rowId: number): KeysRow | undefined {
    return last?.row_id === rowId ? last : (last = select.get(rowId))
  }

  /** The key's batch. The index knows only the first half of a key. */
  function ownerOf(key: Uint8Array): number | undefined {
    const rowId = index.find(key)
    if (rowId === undefined) return table.ownerOf(key)
    if (rowId === fresh.row_id) {
      const isHere = fresh.keys.findLast((one) => Buffer.compare(one, key) === 0) !== undefined
      return isHere ? fresh.batch_id : table.ownerOf(key)
    }
    const row = read(rowId)
    return row !== undefined && findKey(row, key) >= 0 ? row.batch_id : table.ownerOf(key)
  }

  function claim({ key, batchId, seenAtMs }: DedupeKey): boolean {
    if (ownerOf(key) !== undefined) return false
    // Two keys with the same first half: the table tells them apart.
    if (index.isFull(fresh.row_id) || index.find(key) !== undefined) table.add(key, batchId, seenAtMs)
    else {
      index.add(key, fresh.row_id)
      fresh.keys.push(key)
    }
    return true
  }

  function claimOfBatch(keys: readonly DedupeKey[]): boolean[] {
    const { batchId, seenAtMs } = keys[0]!
    const { row_id: rowId } = fresh
    const added: Uint8Array[] = []
    fresh = { row_id: rowId, batch_id: batchId, keys: added }
    undo.push(() => {
      for (const key of added) index.remove(key, rowId)
      fresh.keys = []
      last = undefined
    })
    const isNew = keys.map(claim)
    if (added.length > 0) {
      insert.run(rowId, batchId, seenAtMs, Buffer.concat(added))
      fresh = { row_id: rowId + 1, batch_id: 0, keys: [] }
    }
    return isNew
  }

  function removeFromIndex({ row_id: rowId }: KeysRow, keys: readonly Uint8Array[]): void {
    last = undefined
    for (const key of keys) index.remove(key, rowId)
    undo.push(() => {
      for (const key of keys) index.add(key, rowId)
      last = undefined
    })
  }

  return {
    *claim(keys) {
      return [...Map.groupBy(keys, ({ batchId }) => batchId).values()].flatMap(claimOfBatch)
    },
    *pendingOf(keys) {
      return keys.map(ownerOf).map((batchId) => (selectQueued.get(batchId ?? 0) ? batchId : undefined))
    },
    *forget(keys) {
      for (const { key, batchId } of keys) table.forget(key, batchId)
      for (const [rowId, named] of Map.groupBy(keys, ({ key }) => index.find(key) ?? 0)) {
        const row = read(rowId)
        const own = named.filter(({ key, batchId }) => row?.batch_id === batchId && findKey(row, key) >= 0)
        if (row === undefined || own.length === 0) continue
        const gone = new Set(own.map(({ key }) => findKey(row, key)))
        const kept = keysOf(row).filter((_, nth) => !gone.has(nth * KEY_BYTES))
        update.run(Buffer.concat(kept), rowId)
        removeFromIndex(
          row,
          own.map(({ key }) => key),
        )
      }
    },
    *trim({ seenBeforeMs, after }) {
      if (typeof after !== 'number') return table.trim(seenBeforeMs, after)
      let [end, count] = [after, 0]
      for (const row of listAfter.iterate(after)) {
        if (row.seen_at_ms >= seenBeforeMs || count >= STEP_KEYS) break
        end = row.row_id
        // A row whose keys were all forgotten counts, too.
        count += 1 + row.keys.byteLength / KEY_BYTES
      }
      for (const row of remove.all(after, end)) removeFromIndex(row, keysOf(row))
      return count === 0 ? new Uint8Array(0) : end
    },
  }
}

/**
 * The keys that the index had no room for, by key. Each new one dirties a page of its own, which is 5 µs and 8 KiB written: hence
 * the rows.
 */
function createTable(db: DatabaseSync) {
  // At each start with a smaller index the same keys come again.
  const insert = db.prepare(
    'INSERT INTO dedupe (key, batch_id, seen_at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const select = prepare<{ batch_id: number }>(db, 'SELECT batch_id FROM dedupe WHERE key = ?')
  const remove = db.prepare('DELETE FROM dedupe WHERE key = ? AND batch_id = ?')
  const stepEnd = prepare<{ key: Uint8Array }>(
    db,
    `SELECT key FROM dedupe WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${STEP_KEYS - 1}`,
  )
  const removeOld = db.prepare(
    `DELETE FROM dedupe WHERE key > ? AND key <= ? AND seen_at_ms < ? AND ${NOT_QUEUED}`,
  )
  /** Most stores never have one: then it is not searched. */
  let isUsed = prepare<object>(db, 'SELECT 1 FROM dedupe LIMIT 1').get() !== undefined

  return {
    add(key: Uint8Array, batchId: number, seenAtMs: number): void {
      isUsed = true
      insert.run(key, batchId, seenAtMs)
    },
    ownerOf: (key: Uint8Array) => (isUsed ? select.get(key)?.batch_id : undefined),
    forget(key: Uint8Array, batchId: number): void {
      if (isUsed) remove.run(key, batchId)
    },
    /** Answers where the next step starts, or undefined after the last. */
    trim(seenBeforeMs: number, after: Uint8Array): Uint8Array | undefined {
      const end = stepEnd.get(after)?.key
      removeOld.run(after, end ?? PAST_EVERY_KEY, seenBeforeMs)
      return end
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

/** Its place among the row's bytes, or -1. */
function findKey({ keys }: KeysRow, key: Uint8Array): number {
  if (!((keys as unknown) instanceof Uint8Array)) throw new StoreDamaged('keys of seen events are no keys')
  const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength)
  let at = bytes.indexOf(key)
  while (at % KEY_BYTES > 0) at = bytes.indexOf(key, at + 1)
  return at
}
