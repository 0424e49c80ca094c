/**
 * The rows of dead letters, and what they take of the store. They are kept within their part of it, oldest first out, in
 * the transaction that adds to them: a burst of rejected events must not fill the file before housekeeping looks.
 */
import type { DatabaseSync } from 'node:sqlite'
import { bytesOfLetter, LETTER_BYTES_SQL } from '../share.ts'
import type { TrimRequest, TrimStep } from '../store.ts'
import { prepareRows } from './connection.ts'
import type { Lanes } from './lanes.ts'

export interface NewLetter {
  readonly laneId: number
  readonly eventName: string
  readonly eventId: string
  readonly eventTimeS: number
  readonly status: 'rejected' | 'expired'
  readonly reason: string
  readonly attempts: number
  readonly firstSeenAtMs: number
  readonly diedAtMs: number
  readonly history: string | null
  readonly sealed: Uint8Array
}

export interface Letters {
  add(letter: NewLetter): void
  /** `bytes`: as `bytesOfLetter` counts. */
  remove(letterId: number, laneId: number, bytes: number): void
  trim(request: TrimRequest): TrimStep
  /** No limit until it is set. */
  keepBelow(bytes: number): void
  /** With the transaction: what was removed is to be told by the next `trim`, or was not removed at all. */
  keep(): void
  mark(): number
  undoTo(mark: number): void
}

/** Bounds what one letter can remove, after the limit fell; the rest is left to `trim`. */
const REMOVED_PER_LETTER = 16

type Oldest = [id: number, laneId: number, bytes: number]

export function createLetters(db: DatabaseSync, lanes: Lanes): Letters {
  const insert = db.prepare(
    `INSERT INTO dead_letters (lane_id, event_name, event_id, event_time_s, status, reason, attempts, first_seen_at_ms,
       died_at_ms, history, sealed)
     VALUES ($laneId, $eventName, $eventId, $eventTimeS, $status, $reason, $attempts, $firstSeenAtMs, $diedAtMs,
       $history, $sealed)`,
  )
  const removeRow = db.prepare('DELETE FROM dead_letters WHERE id = ?')
  const selectOldest = prepareRows<Oldest>(
    db,
    `SELECT id, lane_id, ${LETTER_BYTES_SQL} FROM dead_letters WHERE died_at_ms < ? ORDER BY died_at_ms, id LIMIT ?`,
  )
  let limitBytes = Infinity
  /** Removed for the newer ones' sake: in this transaction, and before it since the last `trim`. */
  let removed = 0
  let untold = 0

  function remove(letterId: number, laneId: number, bytes: number): void {
    removeRow.run(letterId)
    lanes.count(laneId, { dead_bytes: -bytes })
  }

  function keepWithin(limit: number): number {
    for (let count = 0; count < limit; count++) {
      if (lanes.totals().deadBytes <= limitBytes) return count
      const [oldest] = selectOldest.all(Number.MAX_SAFE_INTEGER, 1)
      if (oldest === undefined) return count
      remove(...oldest)
    }
    return limit
  }

  return {
    add(letter) {
      insert.run({ ...letter })
      lanes.count(letter.laneId, { dead_bytes: bytesOfLetter(letter) })
      removed += keepWithin(REMOVED_PER_LETTER)
    },
    remove,
    trim({ diedBeforeMs, limit }) {
      const old = selectOldest.all(diedBeforeMs, limit)
      for (const row of old) remove(...row)
      const overPart = keepWithin(limit - old.length)
      const told = untold
      removed -= told
      return { tooOld: old.length, overPart: overPart + told }
    },
    keepBelow: (bytes) => void (limitBytes = bytes),
    keep() {
      untold += removed
      removed = 0
    },
    mark: () => removed,
    undoTo: (mark) => void (removed = mark),
  }
}
