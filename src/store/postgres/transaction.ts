/** What the operations of one transaction share. */
import type { Sealer } from '../../vault/seal.ts'
import type { StoreProblem } from '../engine/operations.ts'
import type { SharedChange } from '../shared.ts'
import type { TrailWriter } from '../core/trail.ts'
import type { Queryable } from './client.ts'
import type { TotalCounts } from './totals.ts'

export interface Transaction {
  readonly client: Queryable
  readonly sealer: Sealer
  readonly totals: TotalCounts
  readonly trail: TrailWriter
  /** STORE_LIMIT_BYTES. */
  readonly limitBytes: number
  readonly ownerId: number
  /** Every number this process had: leases under an older one are still its own if nobody took them over. */
  readonly ownerIds: readonly number[]
  /** Names the transaction; see `writer.ts`. */
  readonly commitNumber: number
  readonly nextBatchId: () => number
  readonly report: (problem: StoreProblem) => void
}

/** `owner_id` of those that this process may acknowledge: its own, and what waits. $1 are its numbers. */
export const MAY_ACKNOWLEDGE = '(owner_id IS NULL OR owner_id = ANY($1))'

/**
 * Notes a change for other replicas, in the transaction that makes it: both are committed, or neither. `ownerId`: the
 * replica that knows already; null: none does.
 */
export async function tellFeed(
  client: Queryable,
  ownerId: number | null,
  change: SharedChange,
): Promise<void> {
  if (change.kind === 'queues' && change.queues.length === 0) return
  await client.query('INSERT INTO feed (owner_id, change) VALUES ($1, $2)', [ownerId, JSON.stringify(change)])
}
