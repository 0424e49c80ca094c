/** The totals of each queue (core/totals.ts), and what of them is asked for with each commit. */
import type { QueueRow } from '../core/rows.ts'
import { query } from '../core/sql.ts'
import { createTotalCounts, readBytes, type StoredBytes, type TotalCounts } from '../core/totals.ts'
import type { Run } from './run.ts'

/** What a batch takes besides its payload: its row, index and seal; the keys of one event. */
export const BATCH_BYTES = 512
export const EVENT_BYTES = 64

export interface QueueTotals extends TotalCounts {
  /** After a rollback. */
  forget(): void
  /** Over all queues, including what is not written yet. */
  sizes(): StoredBytes
  /** Approximate bytes of an account's queued batches, as they are written. */
  queuedBytes(adAccountId: string): number
  /** Accounts that have more than this queued, as it is written. */
  accountsAbove(bytes: number): string[]
}

const QUEUED = `COALESCE(SUM(bytes + ${BATCH_BYTES} * batches + ${EVENT_BYTES} * queued), 0)`

export function createTotals(run: Run): QueueTotals {
  const counts = createTotalCounts()
  /** Undefined after a rollback, until it is asked for. */
  let written: StoredBytes | undefined

  function sizes(): StoredBytes {
    written ??= run(readBytes())
    return {
      queuedBytes: written.queuedBytes + counts.sum('bytes'),
      deadLetterBytes: written.deadLetterBytes + counts.sum('dead_bytes'),
      trailBytes: written.trailBytes + counts.sum('trail_bytes'),
    }
  }

  return {
    count: counts.count,
    sum: counts.sum,
    sizes,
    take() {
      written = sizes()
      return counts.take()
    },
    forget() {
      written = undefined
      counts.take()
    },
    queuedBytes(adAccountId) {
      const sql = `SELECT ${QUEUED} AS bytes FROM totals WHERE ad_account_id = $1`
      return run(query<{ bytes: number }>(sql, [adAccountId]))[0]!.bytes
    },
    accountsAbove(bytes) {
      const sql = `SELECT ad_account_id FROM totals WHERE batches > 0 GROUP BY ad_account_id HAVING ${QUEUED} > $1`
      return run(query<QueueRow>(sql, [bytes])).map((row) => row.ad_account_id)
    },
  }
}
