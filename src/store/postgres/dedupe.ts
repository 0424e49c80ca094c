/**
 * The dedupe index, a table. Keys are inserted in sorted order, so that two replicas with the same events do not deadlock. The
 * first insert of a key wins: the other replica waits for that transaction, and then finds a duplicate, or has the key itself
 * if it was rolled back.
 *
 * `ON CONFLICT` searches the index for each key before it inserts it. Where the claim before had no duplicate, keys are inserted
 * without it: four fifths of the work. Where one is found, the insert is undone and done again with it, in a function of the server's,
 * since PostgreSQL logs each error that reaches a client: half as much again as with it at once, so that the tries pay where fewer
 * than one in four claims has a duplicate.
 */
import { query } from '../core/sql.ts'
import type { Dedupe } from '../core/transaction.ts'
import { packArray } from './arrays.ts'

/** `firsts`: where the keys of each batch begin, from 1 on. */
const INSERT = `INSERT INTO dedupe (key, batch_id, seen_at_ms)
  SELECT key, batch_ids[width_bucket(nth, firsts)], times[width_bucket(nth, firsts)]
  FROM unnest(keys) WITH ORDINALITY AS new (key, nth) ORDER BY key, nth`

/** The keys that are new, and null where all are: a thousand rows would take the engine as long as preparing the events. */
export const CLAIM_FUNCTION = `
  CREATE FUNCTION claim_keys(keys uuid[], firsts bigint[], batch_ids bigint[], times bigint[], expects_new boolean)
  RETURNS uuid[] LANGUAGE plpgsql AS $$
  DECLARE
    new_keys uuid[];
  BEGIN
    IF expects_new THEN
      BEGIN
        ${INSERT};
        RETURN NULL;
      EXCEPTION WHEN unique_violation THEN
      END;
    END IF;
    WITH fresh AS (${INSERT} ON CONFLICT (key) DO NOTHING RETURNING key)
    SELECT CASE WHEN count(*) < cardinality(keys) THEN COALESCE(array_agg(key), '{}') END INTO new_keys FROM fresh;
    RETURN new_keys;
  END $$`

/** Of one writer. */
export function createDedupe(): Dedupe {
  let hadDuplicate = false
  return {
    ...BY_KEY,
    *claim(claims) {
      const keys = claims.flatMap((claim) => claim.keys)
      if (keys.length === 0) return claims.map(() => [])
      let next = 1
      const firsts = claims.map((claim) => (next += claim.keys.length) - claim.keys.length)
      const [row] = yield* query<{ fresh: string[] | null }>(
        'SELECT claim_keys($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5) AS fresh',
        [
          packArray('uuid', keys, (key) => key),
          packArray('bigint', firsts, (first) => first),
          packArray('bigint', claims, ({ batchId }) => batchId),
          packArray('bigint', claims, ({ seenAtMs }) => seenAtMs),
          !hadDuplicate,
        ],
      )
      hadDuplicate = row!.fresh !== null
      if (row!.fresh === null) return claims.map(() => [])
      const fresh = new Set(row!.fresh)
      return claims.map((claim) =>
        claim.keys.flatMap((key, position) => (fresh.delete(nameOf(key)) ? [] : [position])),
      )
    },
  }
}

const BY_KEY: Omit<Dedupe, 'claim'> = {
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
