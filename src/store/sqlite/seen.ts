/**
 * Knows the live events that were delivered or are queued, by 16 bytes of SHA-256 each.
 *
 * The table has no index by time: each commit would pay for it, while forgetting happens rarely and can walk the whole
 * table in small steps that let commits pass in between.
 */
import { hash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { prepareRows } from './connection.ts'
import type { ForgetSeenRequest } from './protocol.ts'

export interface Seen {
  /** Whether the key is new; then it belongs to this parcel. */
  add(key: Uint8Array, parcelId: number, seenAtMs: number): boolean
  /** Whether the key's parcel still waits for a verdict. */
  isPending(key: Uint8Array): boolean
  /** So that a mended event goes through. */
  forget(key: Uint8Array, parcelId: number): void
  /** Answers where the next step starts, or undefined after the last. */
  forgetStep(request: ForgetSeenRequest): Uint8Array | undefined
}

/** A millisecond's work, or six when all of them are old and still queued. */
const STEP_KEYS = 1024
const KEY_BYTES = 16
/** Greater than every key: bytes compare like text, and the longer one is greater. */
const PAST_EVERY_KEY = new Uint8Array(KEY_BYTES + 1).fill(0xff)

/** The lengths go first, so that no two identities spell the same text. */
export function dedupeKey(adAccountId: string, eventName: string, eventId: string): Uint8Array {
  const identity = `${adAccountId.length}:${adAccountId}${eventName.length}:${eventName}${eventId}`
  return hash('sha256', identity, 'buffer').subarray(0, KEY_BYTES)
}

export function createSeen(db: DatabaseSync): Seen {
  const insert = db.prepare(
    'INSERT INTO seen (key, parcel_id, seen_at_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING',
  )
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

  return {
    add: (key, parcelId, seenAtMs) => insert.run(key, parcelId, seenAtMs).changes === 1,
    isPending: (key) => findPending.get(key) !== undefined,
    forget(key, parcelId) {
      remove.run(key, parcelId)
    },
    forgetStep({ seenBeforeMs, afterKey }) {
      const end = stepEnd.get(afterKey)?.[0]
      removeOld.run(afterKey, end ?? PAST_EVERY_KEY, seenBeforeMs)
      return end
    },
  }
}
