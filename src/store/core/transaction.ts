/** What the operations of one transaction share, and what SQLite (queue-tables.ts) and PostgreSQL (transaction.ts) do each in its own way. */
import type { Sealer } from '../../vault/seal.ts'
import type { StoreProblem } from '../engine/operations.ts'
import type { ReleasedBatch } from '../store.ts'
import type { TotalCounts } from './totals.ts'
import type { BatchRow } from './rows.ts'
import type { Steps } from './sql.ts'
import type { TrailWriter } from './trail.ts'

export interface Transaction {
  readonly sealer: Sealer
  readonly totals: TotalCounts
  readonly trail: TrailWriter
  /** Parts of what the store may use. */
  readonly limits: { readonly deadLetterBytes: number; readonly trailBytes: number }
  /** Every number that this process had: what it leased under an older one is still its own if nobody took it over. */
  readonly ownerIds: readonly number[]
  readonly nextBatchId: () => number
  readonly report: (problem: StoreProblem) => void
  readonly leases: Leases
  readonly dedupe: Dedupe
  /** False where another replica has it: then this one does nothing. Until the end of the transaction. */
  tryLock(lock: number): Steps<boolean>
  /** Runs the steps where the vault's documents are. */
  inVault<Result>(steps: Steps<Result>): Steps<Result>
  /** Writes all rows of the trail that were gathered. */
  closeTrail(): Steps<void>
  /** Master keys that living replicas seal with. */
  keyIdsInUse(): Steps<readonly string[]>
}

/** A batch that no lease holds has `owner_id` null, and is not held: PostgreSQL keeps leases in the rows, SQLite in memory. */
export interface Leases {
  isHeld(batchId: number): boolean
  /** Other replicas learn of what waits, and of what is released. */
  insert(rows: readonly BatchRow[], state: 'leased' | 'waiting'): Steps<void>
  /** Answers the rows, in any order. */
  take(batchIds: readonly number[]): Steps<BatchRow[]>
  release(batches: readonly ReleasedBatch[]): Steps<void>
  /** Batches that are gone. */
  end(batchIds: readonly number[]): void
  /** Waiting live batches with older events, the oldest first where that costs nothing. */
  olderThan(eventTimeS: number, limit: number): Steps<Pick<BatchRow, 'batch_id' | 'pending_count'>[]>
}

/** The keys of a batch's events. */
export interface Claim {
  readonly batchId: number
  readonly seenAtMs: number
  readonly keys: readonly Uint8Array[]
}

export interface ForgottenKey {
  readonly key: Uint8Array
  /** Whose key it must be. */
  readonly batchId: number
}

/** Live events that were delivered or are queued, by key. */
export interface Dedupe {
  /** New keys belong to their batch. Answers for each batch the positions of the others, ascending. */
  claim(claims: readonly Claim[]): Steps<readonly (readonly number[])[]>
  /** The batches that brought these keys and still wait for an outcome. */
  pendingOf(keys: readonly Uint8Array[]): Steps<readonly (number | undefined)[]>
  /** So that a corrected event goes through. */
  forget(keys: readonly ForgottenKey[]): Steps<void>
  /** One step; what is still queued is passed over. Answers where the next one starts, or undefined after the last. */
  trim(request: { readonly seenBeforeMs: number; readonly after: number }): Steps<number | undefined>
}

/** A condition: batches that this process may acknowledge, its own and what waits. $1 are its numbers. */
export const MAY_ACKNOWLEDGE = '(owner_id IS NULL OR owner_id = ANY($1))'
