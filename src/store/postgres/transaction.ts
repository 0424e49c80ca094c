/** What the operations of one transaction share. */
import type { Sealer } from '../../vault/seal.ts'
import type { StoreProblem } from '../engine/protocol.ts'
import type { TotalCounts } from './totals.ts'
import type { Queryable } from './client.ts'

export interface Transaction {
  readonly client: Queryable
  readonly sealer: Sealer
  readonly totals: TotalCounts
  readonly ownerId: number
  /** Every number this process had: what it leased under an older one is still its own if nobody took it over. */
  readonly ownerIds: readonly number[]
  /** Names the transaction; see `writer.ts`. */
  readonly commitNumber: number
  readonly nextBatchId: () => number
  readonly report: (problem: StoreProblem) => void
}

/** `owner_id` of those that this process may acknowledge: its own, and what waits. $1 are its numbers. */
export const MAY_ACKNOWLEDGE = '(owner_id IS NULL OR owner_id = ANY($1))'
