/**
 * The keys that the index had no room for, in a table by key. Each new one dirties a page of its own, which is 5 µs and
 * 8 KiB written: hence the blocks.
 */
import type { DatabaseSync } from 'node:sqlite'
import { prepare } from './connection.ts'
import { DEDUPE_KEY_BYTES as KEY_BYTES } from '../core/sealed.ts'

export interface DedupeTree {
  /** Whether the key is new; then it belongs to this batch. */
  add(key: Uint8Array, batchId: number, seenAtMs: number): boolean
  /** The key's batch; undefined where it has no such key. */
  ownerOf(key: Uint8Array): number | undefined
  forget(key: Uint8Array, batchId: number): void
  /** Answers where the next step starts, or undefined after the last. */
  forgetStep(seenBeforeMs: number, afterKey: Uint8Array): Uint8Array | undefined
  /** The transaction is done. */
  keep(): void
}

/** A millisecond's work, or six when all of them are old and still queued. */
const STEP_KEYS = 1024
/** Greater than every key: bytes compare like text, and the longer one is greater. */
const PAST_EVERY_KEY = new Uint8Array(KEY_BYTES + 1).fill(0xff)

export function createDedupeTree(db: DatabaseSync): DedupeTree {
  const insert = db.prepare(
    'INSERT INTO dedupe (key, batch_id, seen_at_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING',
  )
  const select = prepare<{ batch_id: number }>(db, 'SELECT batch_id FROM dedupe WHERE key = ?')
  const remove = db.prepare('DELETE FROM dedupe WHERE key = ? AND batch_id = ?')
  const stepEnd = prepare<{ key: Uint8Array }>(
    db,
    `SELECT key FROM dedupe WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${STEP_KEYS - 1}`,
  )
  const removeOld = db.prepare(
    `DELETE FROM dedupe WHERE key > ? AND key <= ? AND seen_at_ms < ?
       AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.batch_id = dedupe.batch_id)`,
  )
  const first = prepare<object>(db, 'SELECT 1 FROM dedupe LIMIT 1')
  /** False only when it is certain: a rollback may bring keys back. */
  let hasKeys = first.get() !== undefined
  let wasWalked = false

  return {
    add(key, batchId, seenAtMs) {
      hasKeys = true
      return insert.run(key, batchId, seenAtMs).changes === 1
    },
    ownerOf: (key) => (hasKeys ? select.get(key)?.batch_id : undefined),
    forget(key, batchId) {
      if (hasKeys) remove.run(key, batchId)
    },
    forgetStep(seenBeforeMs, afterKey) {
      const end = stepEnd.get(afterKey)?.key
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
