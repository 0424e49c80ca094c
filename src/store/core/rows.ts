/** Rows of both engines, whose columns have the same names. SQLite's booleans are 0 and 1. */
import type { DeadStatus, QueueKey } from '../store.ts'

export type Flag = boolean | number

export interface QueueRow {
  readonly ad_account_id: string
  readonly is_test: Flag
}

export interface BatchRow extends QueueRow {
  readonly batch_id: number
  readonly is_replay: Flag
  /** Of the events that are pending. */
  readonly oldest_event_time_s: number
  /** Of the payload before it is sealed. */
  readonly size_bytes: number
  readonly event_count: number
  readonly pending_count: number
  readonly attempts: number
  readonly received_at_ms: number
  /** One bit per event; null while all are pending. */
  readonly acknowledged: Uint8Array | null
  /** See history.ts. */
  readonly history: string | null
  readonly sealed: Uint8Array
}

export interface NewDeadLetterRow extends QueueRow {
  readonly event_name: string
  /** Empty where it may be personal: the sealed event has it. */
  readonly event_id: string
  /** Null where there is none, or where it may be personal. */
  readonly order_id: string | null
  readonly event_time_s: number
  readonly status: DeadStatus
  readonly reason: string
  readonly attempts: number
  readonly first_seen_at_ms: number
  readonly died_at_ms: number
  readonly history: string | null
  readonly sealed: Uint8Array
}

export interface DeadLetterRow extends NewDeadLetterRow {
  readonly id: number
  /** What it counts in its part of the store. */
  readonly size_bytes: number
}

export function toQueue({ ad_account_id: adAccountId, is_test: isTest }: QueueRow): QueueKey {
  return { adAccountId, isTest: Boolean(isTest) }
}

export function nameOfQueue({ adAccountId, isTest }: QueueKey): string {
  return `${isTest ? 'test' : 'live'}/${adAccountId}`
}

export function uniqueQueues(rows: readonly QueueRow[]): QueueKey[] {
  return [...new Map(rows.map(toQueue).map((queue) => [nameOfQueue(queue), queue])).values()]
}
