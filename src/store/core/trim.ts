/** Deletes the oldest dead letters, or rows of the event trail: what is too old, and what passes their part of the store. */
import type { TrimRequest, TrimStep } from '../store.ts'
import { toQueue, type QueueRow } from './rows.ts'
import { query, type Steps } from './sql.ts'
import { readBytes } from './totals.ts'
import { TRAIL_QUEUE, TRAIL_ROW_BYTES } from './trail.ts'
import type { Transaction } from './transaction.ts'

/** `queue` and `bytes`: whose counter has how many bytes of a row. `lock`: any number that nobody else locks, the name in ASCII. */
export const TRIMMED = {
  dead_letters: {
    lock: 0x6c6574746572,
    key: 'id',
    order: 'died_at_ms, id',
    atMs: 'died_at_ms',
    queue: 'ad_account_id, is_test',
    bytes: 'size_bytes',
    counter: 'dead_bytes',
    part: 'deadLetterBytes',
  },
  trail: {
    lock: 0x747261696c,
    key: 'seq',
    order: 'seq',
    atMs: 'received_at_ms',
    queue: `'${TRAIL_QUEUE.adAccountId}' AS ad_account_id, FALSE AS is_test`,
    bytes: `octet_length(ids) + octet_length(entries) + ${TRAIL_ROW_BYTES}`,
    counter: 'trail_bytes',
    part: 'trailBytes',
  },
} as const

/** One replica at a time: two would both delete rows for the same bytes. Dead letters that are just replayed are passed over. */
export function* trim(tx: Transaction, { table, beforeMs, limit }: TrimRequest): Steps<TrimStep> {
  const { lock, key, order, atMs, queue, bytes, counter, part } = TRIMMED[table]
  let [tooOld, overPart] = [0, 0]
  if (!(yield* tx.tryLock(lock))) return { tooOld, overPart }
  if (table === 'trail') yield* tx.closeTrail()
  const oldest = yield* query<{ at_ms: number; bytes: number }>(
    `SELECT ${atMs} AS at_ms, ${bytes} AS bytes FROM ${table} ORDER BY ${order} LIMIT $1 FOR UPDATE SKIP LOCKED`,
    [limit],
  )
  let overBytes = (yield* readBytes())[part] + tx.totals.sum(counter) - tx.limits[part]
  for (const row of oldest) {
    if (row.at_ms < beforeMs) tooOld += 1
    else if (overBytes > 0) overPart += 1
    else break
    overBytes -= row.bytes
  }
  if (tooOld + overPart === 0) return { tooOld, overPart }
  const gone = yield* query<QueueRow & { readonly bytes: number }>(
    // Materialized: a subquery may run once per row, each time with other rows within its LIMIT.
    `WITH oldest AS MATERIALIZED (
       SELECT ${key} AS key FROM ${table} ORDER BY ${order} LIMIT $1 FOR UPDATE SKIP LOCKED)
     DELETE FROM ${table} WHERE ${key} IN (SELECT key FROM oldest) RETURNING ${queue}, ${bytes} AS bytes`,
    [tooOld + overPart],
  )
  for (const row of gone) tx.totals.count(toQueue(row), { [counter]: -row.bytes })
  return { tooOld, overPart }
}
