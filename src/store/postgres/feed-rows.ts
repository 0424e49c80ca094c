/** Writes down what changed, in the transaction that changes it, so that it is told if and only if it is done. */
import type { SharedChange } from '../shared.ts'
import type { Queryable } from './client.ts'

export const FEED_CHANNEL = 'pinrelay_feed'

/** `ownerId`: who need not be told; null where everybody has to hear it. */
export async function tellFeed(
  client: Queryable,
  ownerId: number | null,
  change: SharedChange,
): Promise<void> {
  if (change.kind === 'queues' && change.queues.length === 0) return
  await client.query(
    `WITH told AS (INSERT INTO feed (owner_id, change) VALUES ($1, $2) RETURNING id)
     SELECT pg_notify('${FEED_CHANNEL}', id::text) FROM told`,
    [ownerId, JSON.stringify(change)],
  )
}
