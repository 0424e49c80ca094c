/**
 * What replicas share beside the store and the vault: token buckets, breakers, and notices of changes. Only a
 * store for several replicas has it. While the database is away `exchange` and `putBreaker` reject with
 * STORE_UNAVAILABLE and no changes arrive; afterwards all of them are reported.
 */
import type { QueueKey } from './store.ts'

export type BucketKind = 'post_limiter' | 'call_limiter'

export interface BucketRequest {
  readonly kind: BucketKind
  readonly adAccountId: string
  /** At least 1. Every replica must ask with the same two numbers; the last one's count. */
  readonly capacity: number
  readonly refillPerMinute: number
  /** Tokens asked for now. */
  readonly wanted: number
  /** Tokens of earlier grants that this replica still has: unused, or of a call in flight. All others are used up. */
  readonly holding: number
  /** Tokens of earlier grants that are given back now; not part of `holding`. */
  readonly unused: number
}

export interface BucketGrant {
  /** At most what was wanted; whole tokens. From now on they are part of `holding`. */
  readonly granted: number
  /** Whole tokens that are left for anybody. */
  readonly left: number
  /** 0 when all was granted; or else the milliseconds until some more are there, `Infinity` without a refill. */
  readonly waitMs: number
}

/** A queue's circuit breaker, as other replicas see it. */
export interface SharedBreaker {
  readonly status: 'closed' | 'open'
  /** A stable word. */
  readonly reason: string
  /** How long it stays open from now on, by the database's clock; undefined: until it is closed. */
  readonly forMs: number | undefined
}

export type SharedChange =
  /** Accounts, grants or relay keys: to be read again (`Vault.reload`). */
  | { readonly kind: 'vault' }
  /** Batches wait again: given back, taken over from a dead replica, or replayed. */
  | { readonly kind: 'queues'; readonly queues: readonly QueueKey[] }
  | { readonly kind: 'breaker'; readonly queue: QueueKey; readonly breaker: SharedBreaker }
  /** This replica was taken for dead: what it leased waits, or is leased by another replica. */
  | { readonly kind: 'leases_lost' }

export interface Shared {
  /** Answers in the order of the requests, which are of different buckets. When it rejects, nothing was taken, or what was taken is lost. */
  exchange(requests: readonly BucketRequest[]): Promise<readonly BucketGrant[]>
  /**
   * Called for each change of another replica, within two seconds and at least once. After the database was away everything
   * is reported as changed. A listener must not throw.
   */
  onChange(listener: (change: SharedChange) => void): void
  putBreaker(queue: QueueKey, breaker: SharedBreaker): Promise<void>
  /** Those that are open now. */
  breakers(): Promise<readonly { readonly queue: QueueKey; readonly breaker: SharedBreaker }[]>
  /** How many are alive. */
  replicas(): Promise<number>
}
