/**
 * The dedupe index, a table. Keys are inserted in sorted order, so that two replicas with the same events do not deadlock. The
 * first insert of a key wins: the other replica waits for that transaction, and then finds a duplicate, or has the key itself
 * if it was rolled back.
 */
import { query } from '../core/sql.ts'
import type { Dedupe } from '../core/transaction.ts'
import { packArray } from './arrays.ts'

/** The keys that are new, and nothing where all are: a thousand rows would take the engine as long as preparing the events. */
const CLAIM = `
  WITH fresh AS (
    INSERT INTO dedupe (key, batch_id, seen_at_ms)
      SELECT key, batch_id, seen_at_ms FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
        AS new (key, batch_id, seen_at_ms, nth) ORDER BY key, nth
    ON CONFLICT (key) DO NOTHING RETURNING key)
  SELECT CASE WHEN count(*) < cardinality($1) THEN COALESCE(array_agg(key), '{}') END AS fresh FROM fresh`

export const DEDUPE: Dedupe = {
  *claim(claims) {
    const all = claims.flatMap(({ batchId, seenAtMs, keys }) =>
      keys.map((key) => ({ key, batchId, seenAtMs })),
    )
    if (all.length === 0) return claims.map(() => [])
    const [row] = yield* query<{ fresh: string[] | null }>(CLAIM, [
      packArray('uuid', all, ({ key }) => key),
      packArray('bigint', all, ({ batchId }) => batchId),
      packArray('bigint', all, ({ seenAtMs }) => seenAtMs),
    ])
    if (row!.fresh === null) return claims.map(() => [])
    const fresh = new Set(row!.fresh)
    return claims.map(({ keys }) =>
      keys.flatMap((key, position) => (fresh.delete(nameOf(key)) ? [] : [position])),
    )
  },

  *pendingOf(keys) {
    if (keys.length === 0) return []
    // No join: made for a small table, its plan would read all batches.
    const rows = yield* query<{ key: string; batch_id: number | null }>(
      `SELECT key, (SELECT batch_id FROM batches WHERE batches.batch_id = dedupe.batch_id) AS batch_id
       FROM dedupe WHERE key = ANY($1::uuid[])`,
      [packArray('uuid', keys, (key) => key)],
    )
    const found = new Map(rows.map(({ key, batch_id: batchId }) => [key, batchId ?? undefined]))
    return keys.map((key) => found.get(nameOf(key)))
  },

  *forget(keys) {
    if (keys.length === 0) return
    yield* query(
      `DELETE FROM dedupe USING unnest($1::uuid[], $2::bigint[]) AS gone (key, batch_id)
       WHERE dedupe.key = ANY($1) AND dedupe.key = gone.key AND dedupe.batch_id = gone.batch_id`,
      [packArray('uuid', keys, ({ key }) => key), keys.map(({ batchId }) => batchId)],
    )
  },

  /** Oldest first. A step ends between two milliseconds: the position is the last one of the step. */
  *trim({ seenBeforeMs, after }) {
    const [end] = yield* query<{ seen_at_ms: number }>(
      `SELECT seen_at_ms FROM dedupe WHERE seen_at_ms > $1 AND seen_at_ms < $2
       ORDER BY seen_at_ms LIMIT 1 OFFSET ${STEP_KEYS - 1}`,
      [after, seenBeforeMs],
    )
    yield* query(
      `DELETE FROM dedupe WHERE seen_at_ms > $1 AND seen_at_ms < $2
         AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.batch_id = dedupe.batch_id)`,
      [after, end === undefined ? seenBeforeMs : end.seen_at_ms + 1],
    )
    return end?.seen_at_ms
  },
}

const STEP_KEYS = 2048

/** As PostgreSQL writes it. */
function nameOf(key: Uint8Array): string {
  const hex = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
