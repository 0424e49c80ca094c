/**
 * The rows of dead letters, and what they take of the store. They are kept within their part of it, oldest first out, in
 * the transaction that adds to them: a burst of rejected events must not fill the file before housekeeping looks.
 */
import type { RecoveredDeadLetter } from '../engine/protocol.ts'
import type { DatabaseSync } from 'node:sqlite'
import { bytesOfDeadLetter, DEAD_LETTER_BYTES_SQL } from '../share.ts'
import type { TrimRequest, TrimStep } from '../store.ts'
import { prepareRows } from './connection.ts'
import type { Queues } from './queues.ts'

export interface NewDeadLetter extends Omit<RecoveredDeadLetter, 'deadLetterId' | 'queue' | 'content'> {
  readonly queueId: number
  readonly sealed: Uint8Array
}

export interface DeadLetters {
  add(deadLetter: NewDeadLetter): void
  /** `bytes`: as `bytesOfDeadLetter` counts. */
  remove(deadLetterId: number, queueId: number, bytes: number): void
  trim(request: TrimRequest): TrimStep
  /** No limit until it is set. */
  keepBelow(bytes: number): void
  /** With the transaction: what was removed is to be told by the next `trim`, or was not removed at all. */
  keep(): void
  mark(): number
  undoTo(mark: number): void
}

/** Bounds what one dead letter can remove, after the limit fell; the rest is left to `trim`. */
const REMOVED_PER_DEAD_LETTER = 16

type Oldest = [id: number, queueId: number, bytes: number]

export function createDeadLetters(db: DatabaseSync, queues: Queues): DeadLetters {
  const insert = db.prepare(
    `INSERT INTO dead_letters (queue_id, event_name, event_id, event_time_s, status, reason, attempts, first_seen_at_ms,
       died_at_ms, history, sealed)
     VALUES ($queueId, $eventName, $eventId, $eventTimeS, $status, $reason, $attempts, $firstSeenAtMs, $diedAtMs,
       $history, $sealed)`,
  )
  const removeRow = db.prepare('DELETE FROM dead_letters WHERE id = ?')
  const selectOldest = prepareRows<Oldest>(
    db,
    `SELECT id, queue_id, ${DEAD_LETTER_BYTES_SQL} FROM dead_letters WHERE died_at_ms < ? ORDER BY died_at_ms, id LIMIT ?`,
  )
  let limitBytes = Infinity
  /** Removed for the newer ones' sake: in this transaction, and before it since the last `trim`. */
  let removed = 0
  let untold = 0

  function remove(deadLetterId: number, queueId: number, bytes: number): void {
    removeRow.run(deadLetterId)
    queues.count(queueId, { dead_bytes: -bytes })
  }

  function keepWithin(limit: number): number {
    for (let count = 0; count < limit; count++) {
      if (queues.sizes().deadBytes <= limitBytes) return count
      const [oldest] = selectOldest.all(Number.MAX_SAFE_INTEGER, 1)
      if (oldest === undefined) return count
      remove(...oldest)
    }
    return limit
  }

  return {
    add(deadLetter) {
      insert.run({ ...deadLetter })
      queues.count(deadLetter.queueId, { dead_bytes: bytesOfDeadLetter(deadLetter) })
      removed += keepWithin(REMOVED_PER_DEAD_LETTER)
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
