/**
 * The dedupe index, a table. Keys are inserted in sorted order, so that two replicas with the same events do not deadlock. The
 * first insert of a key wins: the other replica waits for that transaction, and then finds a duplicate, or has the key itself
 * if it was rolled back.
 */
import { query } from '../core/sql.ts'
import type { Dedupe, DedupeKey } from '../core/transaction.ts'
import type { DedupePosition } from '../engine/operations.ts'

export const DEDUPE: Dedupe = {
  *claim(keys) {
    const firsts = new Map<string, DedupeKey>()
    for (const one of keys) {
      const name = nameOf(one.key)
      if (!firsts.has(name)) firsts.set(name, one)
    }
    if (firsts.size === 0) return []
    const sorted = [...firsts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
    const rows = yield* query<{ key: Buffer }>(
      `INSERT INTO dedupe (key, batch_id, seen_at_ms)
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])
       ON CONFLICT (key) DO NOTHING RETURNING key`,
      [
        sorted.map(({ key }) => key),
        sorted.map(({ batchId }) => batchId),
        sorted.map(({ seenAtMs }) => seenAtMs),
      ],
    )
    const fresh = new Set(rows.map(({ key }) => nameOf(key)))
    return keys.map(({ key }) => fresh.delete(nameOf(key)))
  },

  *pendingOf(keys) {
    if (keys.length === 0) return []
    const rows = yield* query<{ key: Buffer; batch_id: number }>(
      'SELECT key, batch_id FROM dedupe JOIN batches USING (batch_id) WHERE key = ANY($1)',
      [keys],
    )
    const found = new Map(rows.map(({ key, batch_id: batchId }) => [nameOf(key), batchId]))
    return keys.map((key) => found.get(nameOf(key)))
  },

  *forget(keys) {
    if (keys.length === 0) return
    yield* query(
      `DELETE FROM dedupe USING unnest($1::bytea[], $2::bigint[]) AS gone (key, batch_id)
       WHERE dedupe.key = gone.key AND dedupe.batch_id = gone.batch_id`,
      [keys.map(({ key }) => key), keys.map(({ batchId }) => batchId)],
    )
  },

  /** Oldest first; the position is a time and a key, packed. */
  *trim({ seenBeforeMs, after }) {
    const [afterMs, afterKey] = unpackWalk(after)
    const rows = yield* query<{ key: Buffer; seen_at_ms: number }>(
      `SELECT key, seen_at_ms FROM dedupe WHERE seen_at_ms < $1 AND (seen_at_ms, key) > ($2, $3)
       ORDER BY seen_at_ms, key LIMIT ${STEP_KEYS}`,
      [seenBeforeMs, afterMs, afterKey],
    )
    const last = rows.at(-1)
    if (last === undefined) return undefined
    yield* query(
      `DELETE FROM dedupe WHERE key = ANY($1) AND seen_at_ms < $2
         AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.batch_id = dedupe.batch_id)`,
      [rows.map(({ key }) => key), seenBeforeMs],
    )
    return rows.length < STEP_KEYS ? undefined : packWalk(last.seen_at_ms, last.key)
  },
}

const STEP_KEYS = 2048
const TIME_BYTES = 8

function packWalk(seenAtMs: number, key: Uint8Array): Uint8Array {
  const packed = Buffer.alloc(TIME_BYTES + key.byteLength)
  packed.writeDoubleBE(seenAtMs)
  packed.set(key, TIME_BYTES)
  return packed
}

function unpackWalk(walk: DedupePosition): [seenAtMs: number, key: Buffer] {
  if (typeof walk === 'number') return [Number.MIN_SAFE_INTEGER, Buffer.alloc(0)]
  const packed = Buffer.from(walk.buffer, walk.byteOffset, walk.byteLength)
  return [packed.readDoubleBE(), packed.subarray(TIME_BYTES)]
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')
}
