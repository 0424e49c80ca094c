/**
 * The keys that the index had no room for, in a table by key. Each new one dirties a page of its own, which is 5 µs and
 * 8 KiB written: hence the blocks.
 */
import type { DatabaseSync } from 'node:sqlite'
import { prepareRows } from './connection.ts'
import { KEY_BYTES } from './seen-block.ts'

export interface SeenTree {
  /** Looked at only when there is something in it. */
  isEmpty(): boolean
  /** Whether the key is new; then it belongs to this parcel. */
  add(key: Uint8Array, parcelId: number, seenAtMs: number): boolean
  has(key: Uint8Array): boolean
  isPending(key: Uint8Array): boolean
  forget(key: Uint8Array, parcelId: number): void
  /** Answers where the next step starts, or undefined after the last. */
  forgetStep(seenBeforeMs: number, afterKey: Uint8Array): Uint8Array | undefined
  /** The transaction is done. */
  keep(): void
}

/** A millisecond's work, or six when all of them are old and still queued. */
const STEP_KEYS = 1024
/** Greater than every key: bytes compare like text, and the longer one is greater. */
const PAST_EVERY_KEY = new Uint8Array(KEY_BYTES + 1).fill(0xff)

export function createSeenTree(db: DatabaseSync): SeenTree {
  const insert = db.prepare(
    'INSERT INTO seen (key, parcel_id, seen_at_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING',
  )
  const select = prepareRows<[1]>(db, 'SELECT 1 FROM seen WHERE key = ?')
  const remove = db.prepare('DELETE FROM seen WHERE key = ? AND parcel_id = ?')
  const findPending = prepareRows<[1]>(db, 'SELECT 1 FROM seen JOIN payloads USING (parcel_id) WHERE key = ?')
  const stepEnd = prepareRows<[key: Uint8Array]>(
    db,
    `SELECT key FROM seen WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${STEP_KEYS - 1}`,
  )
  const removeOld = db.prepare(
    `DELETE FROM seen WHERE key > ? AND key <= ? AND seen_at_ms < ?
       AND NOT EXISTS (SELECT 1 FROM payloads WHERE payloads.parcel_id = seen.parcel_id)`,
  )
  const first = prepareRows<[1]>(db, 'SELECT 1 FROM seen LIMIT 1')
  /** False only when that is sure: a rollback may bring keys back. */
  let hasKeys = first.get() !== undefined
  let wasWalked = false

  return {
    isEmpty: () => !hasKeys,
    add(key, parcelId, seenAtMs) {
      hasKeys = true
      return insert.run(key, parcelId, seenAtMs).changes === 1
    },
    has: (key) => select.get(key) !== undefined,
    isPending: (key) => findPending.get(key) !== undefined,
    forget(key, parcelId) {
      remove.run(key, parcelId)
    },
    forgetStep(seenBeforeMs, afterKey) {
      const end = stepEnd.get(afterKey)?.[0]
      removeOld.run(afterKey, end ?? PAST_EVERY_KEY, seenBeforeMs)
      wasWalked ||= end === undefined
      return end
    },
    keep() {
      if (wasWalked) hasKeys = first.get() !== undefined
      wasWalked = false
    },
  }
}
