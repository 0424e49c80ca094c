/** Deletes the oldest dead letters, or rows of the event trail: what is too old, and what passes their part of the store. */
import type { TrimRequest, TrimStep } from '../store.ts'
import { toQueue, type QueueRow } from './rows.ts'
import { query, type Steps } from './sql.ts'
import { readBytes } from './totals.ts'
import { TRAIL_QUEUE, TRAIL_ROW_BYTES } from './trail.ts'
import type { Transaction } from './transaction.ts'

/** `queue` and `bytes`: whose counter has how many bytes of a row. `lock`: numbers that nobody else locks. */
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

/**
 * One replica at a time: two would both delete rows for the same bytes. What is read is not locked, so that nothing is written where
 * nothing has to go. Dead letters that are just replayed or purged are passed over.
 */
export function* trim(tx: Transaction, { table, beforeMs, limit }: TrimRequest): Steps<TrimStep> {
  const { lock, key, order, atMs, queue, bytes, counter, part } = TRIMMED[table]
  if (!(yield* tx.tryLock(lock))) return { tooOld: 0, overPart: 0 }
  if (table === 'trail') yield* tx.closeTrail()
  // As text: keys of the trail have more digits than a number of JavaScript.
  const oldest = yield* query<{ key: string; at_ms: number; bytes: number }>(
    `SELECT CAST(${key} AS text) AS key, ${atMs} AS at_ms, ${bytes} AS bytes FROM ${table} ORDER BY ${order} LIMIT $1`,
    [limit],
  )
  // After the rows: what another replica deletes in between makes this step delete fewer, never more.
  let overBytes = (yield* readBytes())[part] + tx.totals.sum(counter) - tx.limits[part]
  const kept = oldest.findIndex((row) => {
    if (row.at_ms >= beforeMs && overBytes <= 0) return true
    overBytes -= row.bytes
    return false
  })
  const keys = (kept < 0 ? oldest : oldest.slice(0, kept)).map((row) => row.key)
  if (keys.length === 0) return { tooOld: 0, overPart: 0 }
  const gone = yield* query<QueueRow & { readonly at_ms: number; readonly bytes: number }>(
    `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${key} = ANY($1) FOR UPDATE SKIP LOCKED)
     RETURNING ${queue}, ${atMs} AS at_ms, ${bytes} AS bytes`,
    [keys],
  )
  for (const row of gone) tx.totals.count(toQueue(row), { [counter]: -row.bytes })
  const tooOld = gone.filter((row) => row.at_ms < beforeMs).length
  return { tooOld, overPart: gone.length - tooOld }
}
