/**
 * What the relay asks of a store. Two implementations (SQLite, PostgreSQL) pass one conformance suite.
 *
 * A batch's life, and who may change it:
 *
 *   commit ──> leased to the committer ──acknowledge──> gone (every event acknowledged)
 *                  │        ▲      └────acknowledge (some events)──> leased, with fewer pending events
 *               release   lease
 *                  ▼        │
 *                waiting in the store
 *
 * Only the holder of a lease acknowledges or releases. A lease ends with its holder, not by a clock. With several replicas
 * a holder that the database has not heard of for the lease's length counts as gone: its batches wait again, and what it
 * says of one that another replica leases changes nothing. What waits too long expires; a replay makes a waiting batch of
 * a dead letter. A row is deleted only after a final outcome for each of its events. Methods that change something resolve after
 * a synced commit. Times are milliseconds since the epoch and come from the caller.
 */
import type { AuditEntry, AuditQuery } from './core/audit.ts'
import type { CallReference, PostedEvent, TrailStore } from './trail.ts'

/** An event younger than this is on time: Pinterest counts later ones as offline and cannot deduplicate them. */
export const ON_TIME_S = 3600

/** One account's live or test events. */
export interface QueueKey {
  readonly adAccountId: string
  readonly isTest: boolean
}

/** Who an event is, for dedupe and for dead letters. */
export interface EventIdentity {
  readonly eventName: string
  readonly eventId: string
  /** `event_time` in seconds since the epoch. */
  readonly eventTimeS: number
}

export interface NewBatch extends QueueKey {
  /** The events' JSON, joined by `EVENT_SEPARATOR` (store/payload.ts): the very bytes inside the call's `data` array. */
  readonly payload: Uint8Array
  /** The same, compressed before the transaction (core/sealed.ts): it is written where no event is a duplicate. */
  readonly compressed?: Uint8Array | undefined
  /** All of the post, in its order; those that are prepared are the payload's, and the others only counted. */
  readonly events: readonly PostedEvent[]
  /** For dedupe, one per prepared event (core/sealed.ts); none of test events: a developer posts the same one again and again. */
  readonly keys: readonly Uint8Array[]
  readonly receivedAtMs: number
  /** The relay key or the source that the post came with. */
  readonly keyId?: string | undefined
  readonly source?: string | undefined
}

/** What is written of a post beside its payload. */
export type PostOfTrail = QueueKey & Pick<NewBatch, 'events' | 'receivedAtMs' | 'keyId' | 'source'>

export interface Receipt {
  /** The events that were stored, leased to the caller; undefined when each was a duplicate, filtered or invalid. */
  readonly batch: LeasedBatch | undefined
  /** Positions among the prepared events that were seen before and are not stored. Ascending. */
  readonly duplicates: readonly number[]
  /** How many of them repeat an event of an earlier batch that is still queued. */
  readonly pendingDuplicates: number
}

/** Something that went wrong with an event on its way, or was done to it. */
export interface HistoryEntry {
  readonly atMs: number
  /** A stable word: `status_503`, `timeout`, `rejected_event`, `too_old`, `replayed`. Never Pinterest's text. */
  readonly reason: string
}

/** The newest entries are kept, oldest of them first. */
export const HISTORY_LIMIT = 20

/** A batch handed out by `lease`. Positions of events count from the stored payload and never shift. */
export interface LeasedBatch extends QueueKey {
  readonly batchId: number
  readonly payload: Uint8Array
  readonly eventCount: number
  /** Positions already acknowledged; empty for most batches. */
  readonly acknowledged: readonly number[]
  /** The oldest event's `event_time`, in seconds. */
  readonly oldestEventTimeS: number
  readonly receivedAtMs: number
  /** Calls that were made with it before it was released. */
  readonly attempts: number
  /** Comes from a dead letter: sent last. */
  readonly isReplay: boolean
  readonly history: readonly HistoryEntry[]
}

export type DeadStatus = 'rejected' | 'expired'

/** An event that was rejected or grew too old: it becomes a dead letter. */
export interface DeadEvent {
  /** Position in the stored payload. */
  readonly index: number
  readonly status: DeadStatus
  /** A stable word, for filters and metrics. */
  readonly reason: string
  /** Pinterest's text, scrubbed. */
  readonly message: string
  readonly attempts: number
  readonly history: readonly HistoryEntry[]
}

export interface ReleasedBatch {
  readonly batchId: number
  readonly attempts: number
  readonly history: readonly HistoryEntry[]
}

export interface Acknowledgement {
  readonly batchId: number
  /** `rest`: every event that is pending and not in `dead`. */
  readonly delivered: readonly number[] | 'rest'
  readonly dead: readonly DeadEvent[]
  readonly acknowledgedAtMs: number
  /** What it comes from, and the failed calls before it; of what expired neither. The same of all that are given together. */
  readonly call?: CallReference | undefined
  readonly failures?: readonly HistoryEntry[] | undefined
}

export interface LeaseRequest extends QueueKey {
  /** At least one batch is handed out if any waits, then as many as fit. */
  readonly maxEvents: number
  readonly maxBytes: number
  readonly nowMs: number
}

export interface QueueBacklog extends QueueKey {
  readonly batches: number
  readonly events: number
  /** Of the oldest event that is queued, in seconds. */
  readonly oldestEventTimeS: number
}

/** Events, since the store began. received = delivered + rejected + expired + filtered + queued + duplicate. */
export type Totals = Readonly<Record<(typeof COUNTED_EVENTS)[number], number>>

/** `invalid`: what the relay found invalid; not part of `received`. */
export const COUNTED_EVENTS = [
  'received',
  'delivered',
  'rejected',
  'expired',
  'filtered',
  'queued',
  'duplicate',
  'invalid',
] as const

export interface DeadLetter extends QueueKey, Omit<EventIdentity, 'eventId'> {
  readonly id: number
  /** Undefined where it may be personal. */
  readonly eventId: string | undefined
  /** Undefined where there is none, or where it may be personal. */
  readonly orderId: string | undefined
  readonly status: DeadStatus
  readonly reason: string
  readonly message: string
  readonly attempts: number
  readonly firstSeenAtMs: number
  readonly diedAtMs: number
  readonly history: readonly HistoryEntry[]
}

/** Which dead letters; what is left out does not matter. */
export interface DeadLetterFilter {
  readonly ids?: readonly number[]
  readonly adAccountId?: string
  readonly isTest?: boolean
  readonly status?: DeadStatus
  readonly reason?: string
  readonly eventName?: string
  readonly eventId?: string
  readonly orderId?: string
}

/** A step over the dead letters of a filter, newest first. */
export interface DeadLetterQuery extends DeadLetterFilter {
  /** At most this many are read. */
  readonly limit: number
  /** Only those with a smaller id: where the step before stopped. */
  readonly beforeId?: number
}

export interface ReplayRequest extends DeadLetterQuery {
  /** Live events from before are left where they are: they would die again. Seconds since the epoch. */
  readonly oldestEventTimeS: number
  readonly nowMs: number
}

export interface ReplayStep {
  readonly replayed: number
  /** Gone: the same event was posted again meanwhile. */
  readonly duplicates: number
  readonly tooOld: number
  /** Queues that have more to send now. */
  readonly queues: readonly QueueKey[]
  /** Where the next step starts; undefined after the last. */
  readonly beforeId: number | undefined
}

export interface PurgeStep {
  readonly purged: number
  readonly beforeId: number | undefined
}

export interface ExpireRequest {
  /** Live events from before are too old. Seconds since the epoch. */
  readonly oldestEventTimeS: number
  /** At most this many batches are read. */
  readonly limit: number
  readonly nowMs: number
}

export interface ExpireStep {
  /** Events. */
  readonly expired: number
  /** Whether more may be too old. A step may expire nothing, and have more. */
  readonly hasMore: boolean
}

export interface TrimRequest {
  readonly table: 'dead_letters' | 'trail'
  /** What died or was received before is too old; milliseconds since the epoch. */
  readonly beforeMs: number
  /** At most this many rows are deleted. */
  readonly limit: number
}

export interface TrimStep {
  readonly tooOld: number
  /** Deleted to make room for newer ones; dead letters that the store deleted by itself since the last step, too. */
  readonly overPart: number
}

export interface StoreSize {
  readonly usedBytes: number
  /** Of payloads that are queued. */
  readonly queuedBytes: number
  readonly deadLetterBytes: number
  readonly trailBytes: number
  /** Free bytes of the disk that the store is on, as far as this process may use them. */
  readonly diskFreeBytes: number
  /** Commits are refused until some of what is queued has gone, or until the disk has room again. */
  readonly isFull: boolean
  /** False after a write that failed, for any reason but a full disk, until one succeeds (core/write-watch.ts). */
  readonly isWritable: boolean
  /** Accounts whose commits alone are refused: they have too much queued for the room that is left. Empty while all are. */
  readonly overShare: readonly string[]
}

/** What the front uses: the engine commits. */
export type FrontStore = Omit<Store, 'commit'>

export interface Store extends TrailStore {
  /**
   * Takes the events that were not seen before and leases them to the caller. Test events are never compared: a developer
   * posts the same one again and again. Commits that are asked for at the same time share one synced transaction. Rejects
   * with STORE_UNAVAILABLE when it cannot write: nothing was taken, or, where a database did not live to say so, what was
   * taken waits like any other batch, and the same post again is a duplicate. It also rejects where the account alone has
   * too much queued (core/capacity.ts).
   */
  commit(batch: NewBatch): Promise<Receipt>
  /** Acknowledging an event twice, or one of a batch that is gone or that another replica leases, changes nothing. */
  acknowledge(acknowledgements: readonly Acknowledgement[]): Promise<void>
  /**
   * Waiting batches, by their oldest event: first those on time (see `ON_TIME_S`), the one closest to the edge first;
   * then the late ones, oldest first; then replays, oldest first.
   */
  lease(request: LeaseRequest): Promise<readonly LeasedBatch[]>
  /** Gives leased batches back, to be leased again. `attempts` and `history` are kept with each. */
  release(batches: readonly ReleasedBatch[]): Promise<void>
  /** Queues that have batches, leased or waiting. */
  backlog(): Promise<readonly QueueBacklog[]>
  totals(filter: { readonly adAccountId?: string; readonly isTest?: boolean }): Promise<Totals>
  deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetter[]>
  /** Queues dead letters again, each as a batch with its event id, sent last. The totals count it as queued (or duplicate). */
  replay(request: ReplayRequest): Promise<ReplayStep>
  /** Deletes dead letters. The totals keep counting them as what they were. */
  purge(request: DeadLetterQuery): Promise<PurgeStep>
  /** One step of making dead letters, as `too_old`, of waiting live events. */
  expire(request: ExpireRequest): Promise<ExpireStep>
  /** Deletes the oldest: what is too old, and what passes its part of the store. Dead letters keep counting as what they were. */
  trim(request: TrimRequest): Promise<TrimStep>
  /** Ids of events and orders (`event_id`, `order_id`) are kept as fingerprints. */
  addAudit(entry: Omit<AuditEntry, 'id'>): Promise<void>
  /** Newest first, those with a smaller id than `beforeId`. */
  auditTrail(query: AuditQuery): Promise<readonly AuditEntry[]>
  /** Forgets what was seen before `seenBeforeMs`, but never an event that is still queued. */
  trimDedupe(seenBeforeMs: number): Promise<void>
  /** Seals the payloads again that an older master key sealed, at most `limit` in a transaction; answers how many. */
  reseal(limit: number): Promise<number>
  size(): Promise<StoreSize>
}
