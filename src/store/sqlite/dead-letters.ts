/**
 * The rows of dead letters, how they are found, and what they take of the store. They are kept within their part of it, oldest
 * first out, in the transaction that adds to them: a burst of rejected events must not fill the file before housekeeping
 * runs.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { conditionsOf, STEP_ROWS, toRows, type DeadLetterRows } from '../core/dead-letters.ts'
import { toQueue, type DeadLetterRow, type NewDeadLetterRow, type QueueRow } from '../core/rows.ts'
import { bytesOfDeadLetter, DEAD_LETTER_BYTES_SQL } from '../core/share.ts'
import type { DeadLetterQuery, TrimRequest, TrimStep } from '../store.ts'
import { prepare, type RowQuery } from './connection.ts'
import type { TotalCounts } from './totals.ts'

export interface DeadLetters {
  add(row: NewDeadLetterRow): void
  remove(row: DeadLetterRow): void
  /** One step of a search, from new to old. */
  find(query: DeadLetterQuery): DeadLetterRows
  trim(request: TrimRequest): TrimStep
  /** No limit until it is set. */
  keepBelow(bytes: number): void
  /** At the transaction's end: the next `trim` reports what was removed, or nothing was. */
  keep(): void
  undo(): void
}

/** Bounds what one dead letter can remove, after the limit fell; the rest is left to `trim`. */
const REMOVED_PER_DEAD_LETTER = 16

type Oldest = QueueRow & { readonly id: number; readonly bytes: number }

export function createDeadLetters(db: DatabaseSync, totals: TotalCounts): DeadLetters {
  const insert = db.prepare(
    `INSERT INTO dead_letters (ad_account_id, is_test, event_name, event_id, order_id, event_time_s, status, reason, attempts,
       first_seen_at_ms, died_at_ms, history, sealed)
     VALUES ($ad_account_id, $is_test, $event_name, $event_id, $order_id, $event_time_s, $status, $reason, $attempts,
       $first_seen_at_ms, $died_at_ms, $history, $sealed)`,
  )
  const removeRow = db.prepare('DELETE FROM dead_letters WHERE id = ?')
  const selectOldest = prepare<Oldest>(
    db,
    `SELECT id, ad_account_id, is_test, ${DEAD_LETTER_BYTES_SQL} AS bytes FROM dead_letters WHERE died_at_ms < ?
     ORDER BY died_at_ms, id LIMIT ?`,
  )
  const stepEnd = prepare<{ id: number }>(
    db,
    `SELECT id FROM dead_letters WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
  )
  const queries = new Map<string, RowQuery<DeadLetterRow>>()
  let limitBytes = Infinity
  /** Removed for the newer ones' sake: in this transaction, and before it since the last `trim`. */
  let removed = 0
  let untold = 0

  function removeOldest(row: Oldest): void {
    removeRow.run(row.id)
    totals.count(toQueue(row), { dead_bytes: -row.bytes })
  }

  function keepWithin(limit: number): number {
    for (let count = 0; count < limit; count++) {
      if (totals.sizes().deadBytes <= limitBytes) return count
      const [oldest] = selectOldest.all(Number.MAX_SAFE_INTEGER, 1)
      if (oldest === undefined) return count
      removeOldest(oldest)
    }
    return limit
  }

  function query(conditions: string): RowQuery<DeadLetterRow> {
    const sql = `SELECT * FROM dead_letters WHERE id >= ? AND id < ? ${conditions} ORDER BY id DESC LIMIT ?`
    const known = queries.get(sql) ?? prepare<DeadLetterRow>(db, sql)
    queries.set(sql, known)
    return known
  }

  return {
    add(row) {
      insert.run({ ...row, is_test: Number(row.is_test) })
      totals.count(toQueue(row), { dead_bytes: bytesOfDeadLetter(row) })
      removed += keepWithin(REMOVED_PER_DEAD_LETTER)
    },
    remove: (row) => removeOldest({ ...row, bytes: bytesOfDeadLetter(row) }),
    find({ limit, beforeId = Number.MAX_SAFE_INTEGER, ids, ...filter }) {
      const conditions = conditionsOf(filter)
      const values: SQLInputValue[] = conditions.map(([, value]) =>
        typeof value === 'boolean' ? Number(value) : value,
      )
      if (ids !== undefined) values.push(JSON.stringify(ids))
      const sql = [
        ...conditions.map(([column]) => `AND ${column} = ?`),
        ids === undefined ? '' : 'AND id IN (SELECT value FROM json_each(?))',
      ]
      const endId = ids === undefined ? stepEnd.get(beforeId)?.id : undefined
      return toRows(query(sql.join(' ')).all(endId ?? 0, beforeId, ...values, limit), limit, endId)
    },
    trim({ diedBeforeMs, limit }) {
      const old = selectOldest.all(diedBeforeMs, limit)
      for (const row of old) removeOldest(row)
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
    undo: () => void (removed = 0),
  }
}
