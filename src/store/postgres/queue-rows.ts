/** Queues as rows name them. */
import type { QueueKey } from '../store.ts'

export interface QueueRow {
  readonly ad_account_id: string
  readonly is_test: boolean
}

export function toQueue({ ad_account_id: adAccountId, is_test: isTest }: QueueRow): QueueKey {
  return { adAccountId, isTest }
}

export function uniqueQueues(rows: readonly QueueRow[]): QueueKey[] {
  return [...new Map(rows.map((row) => [`${row.is_test} ${row.ad_account_id}`, toQueue(row)])).values()]
}
