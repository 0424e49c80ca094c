/** Rows as SQLite and PostgreSQL both have them: columns have the same names. SQLite's booleans are 0 and 1. */
import { unlessPersonal, type TrailIds } from '../../events/personal-ids.ts'
import { HISTORY_LIMIT, type DeadStatus, type HistoryEntry, type QueueKey } from '../store.ts'
import type { PostedEvent } from '../trail.ts'

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
  /** See `packHiddenIds`. */
  readonly hidden_ids: Uint8Array | null
  /** See `packHistory`. */
  readonly history: string | null
  readonly sealed: Uint8Array
}

export interface NewDeadLetterRow extends QueueRow {
  readonly event_name: string
  /** Empty where it may be personal: the sealed event has it. */
  readonly event_id: string
  /** The same; null where there is none. */
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

/** PostgreSQL's text holds any character but this one. */
export function toStoredText(text: string): string {
  return text.replaceAll('\0', '\uFFFD')
}

export function nameOfQueue({ adAccountId, isTest }: QueueKey): string {
  return `${isTest ? 'test' : 'live'}/${adAccountId}`
}

export function uniqueQueues(rows: readonly QueueRow[]): QueueKey[] {
  return [...new Map(rows.map(toQueue).map((queue) => [nameOfQueue(queue), queue])).values()]
}

export type HistoryPairs = readonly (readonly [atMs: number, reason: string])[]

export const toPairs = (history: readonly HistoryEntry[]): HistoryPairs =>
  history.map(({ atMs, reason }) => [atMs, reason])

export const fromPairs = (pairs: HistoryPairs): HistoryEntry[] =>
  pairs.map(([atMs, reason]) => ({ atMs, reason }))

/** The history of an event or a batch in one column: null while it is empty, as nearly all are. */
export function packHistory(history: readonly HistoryEntry[]): string | null {
  if (history.length === 0) return null
  return JSON.stringify(toPairs(history.slice(-HISTORY_LIMIT)))
}

/** Nothing where it was damaged on the disk: what is sealed beside it proves itself. */
export function unpackHistory(packed: string | null): HistoryEntry[] {
  try {
    return packed === null ? [] : fromPairs(JSON.parse(packed) as HistoryPairs)
  } catch {
    return []
  }
}

/** Which events of a batch are acknowledged: one bit per position. */
export function makeBitmap(count: number): Uint8Array {
  return new Uint8Array(Math.ceil(count / 8))
}

/** Answers whether the position is new in it. */
export function addPosition(bitmap: Uint8Array, position: number): boolean {
  const bit = 1 << (position & 7)
  const bits = bitmap[position >> 3]!
  bitmap[position >> 3] = bits | bit
  return (bits & bit) === 0
}

/** Ascending. */
export function listPositions(bitmap: Uint8Array): number[] {
  const positions: number[] = []
  for (let position = 0; position < bitmap.length * 8; position++) {
    if ((bitmap[position >> 3]! & (1 << (position & 7))) !== 0) positions.push(position)
  }
  return positions
}

/**
 * Which ids of a batch's events may be personal, as it was decided while the values of their customers were known: two bits per event, for its
 * own id and its order's; null while there is none, as of nearly all batches.
 */
export function packHiddenIds(events: readonly PostedEvent[]): Uint8Array | null {
  let bitmap: Uint8Array | null = null
  for (let index = 0; index < events.length; index++) {
    const ids = events[index]!.trailIds
    if (ids.eventId !== null && ids.orderId !== null) continue
    bitmap ??= makeBitmap(2 * events.length)
    if (ids.eventId === null) addPosition(bitmap, 2 * index)
    if (ids.orderId === null) addPosition(bitmap, 2 * index + 1)
  }
  return bitmap
}

/** What may be kept in the clear of an event's ids. A damaged row may have lost its bits: the shape of an id counts, too. */
export function readTrailIds(
  hiddenIds: Uint8Array | null,
  index: number,
  { eventId, orderId }: { readonly eventId: string; readonly orderId: string },
): TrailIds {
  const bits = ((hiddenIds?.[index >> 2] ?? 0) >> (2 * (index & 3))) & 3
  return {
    eventId: (bits & 1) === 0 ? unlessPersonal(eventId) : null,
    orderId: orderId === '' ? undefined : (bits & 2) === 0 ? unlessPersonal(orderId) : null,
  }
}
