/** The operations that the batcher gathers, and that SQLite or PostgreSQL runs in one transaction. */
import type { DeadLetterRow } from '../core/rows.ts'
import type { VaultChange, VaultDocument } from '../../vault/vault-store.ts'
import type {
  AuditEntry,
  AuditQuery,
  Totals,
  DeadLetter,
  DeadLetterQuery,
  ExpireRequest,
  QueueBacklog,
  QueueKey,
  LeasedBatch,
  LeaseRequest,
  PurgeRequest,
  PurgeStep,
  ReleasedBatch,
  Receipt,
  ReplayRequest,
  ReplayStep,
  Acknowledgement,
  StoreSize,
  TrimRequest,
  TrimStep,
} from '../store.ts'

/** A `NewBatch`, with its events' identities as flat lists. */
export interface CommitRequest extends QueueKey {
  readonly payload: Uint8Array
  /** Event name and event id in turns; empty for test events, which are never compared. */
  readonly identities: readonly string[]
  readonly eventTimesS: readonly number[]
  readonly invalidCount: number
  readonly filteredCount: number
  readonly receivedAtMs: number
}

/** Most batches are delivered whole: those travel as a flat list of ids. */
export interface AcknowledgeRequest {
  readonly wholeBatchIds: readonly number[]
  /** Of the whole ones. */
  readonly acknowledgedAtMs: number
  readonly others: readonly Acknowledgement[]
}

export interface ReleaseRequest {
  readonly batches: readonly ReleasedBatch[]
}

export interface TrimDedupeRequest {
  readonly seenBeforeMs: number
  /** Where the step before stopped. */
  readonly after: DedupePosition
}

/** First the blocks, then the table by key. */
export type DedupePosition =
  | { readonly table: 'blocks'; readonly afterId: number }
  | { readonly table: 'tree'; readonly afterKey: Uint8Array }

export interface ResealPosition {
  readonly table: number
  readonly afterId: number
}

export interface ResealRequest {
  readonly limit: number
  /** Where the step before stopped. */
  readonly position: ResealPosition
}

export interface ResealStep {
  readonly resealed: number
  /** Where the next step starts; undefined when nothing is left that an older key sealed. */
  readonly position: ResealPosition | undefined
}

export interface DeadLetterPage {
  readonly deadLetters: readonly DeadLetter[]
  /** Where the next step starts; undefined when nothing is left. */
  readonly beforeId: number | undefined
}

export interface BoundedTrimRequest extends TrimRequest {
  /** The dead letters' part of the store, where the worker does not know it. */
  readonly limitBytes?: number
}

/** What the files say; whether they take writes is known where the answers arrive. */
export type QueueSize = Omit<StoreSize, 'isWritable'>

export interface ExpireStep {
  /** Events. */
  readonly expired: number
  /** Whether more may be too old. */
  readonly hasMore: boolean
}

export interface RecoveredBatch {
  /** In the file that it comes from. */
  readonly batchId: number
  readonly commit: CommitRequest
  readonly attempts: number
  readonly history: string | null
}

/** Its row in the file that it comes from: its id, and sealed for the queue that it names. */
export type RecoveredDeadLetter = DeadLetterRow

export interface RecoverSteps {
  readonly batches: readonly RecoveredBatch[]
  readonly deadLetters: readonly RecoveredDeadLetter[]
}

export interface RecoverRequest extends RecoverSteps {
  /** The name of the file that was quarantined. */
  readonly file: string
}

export interface RecoverAnswer {
  readonly batches: number
  readonly events: number
  readonly duplicates: number
  readonly deadLetters: number
}

/** What came back of a file that was quarantined. */
export interface RecoverReport {
  readonly batches: number
  readonly events: number
  /** Events and dead letters that are there already, or were delivered. */
  readonly duplicates: number
  readonly deadLetters: number
  /** Batches and dead letters that were found, and of which too much is lost. */
  readonly unreadable: number
}

/** A receipt without the payload, which the caller has: the client adds the batch. */
export interface CommitAnswer extends Omit<Receipt, 'batch'> {
  /** Undefined when nothing was stored. */
  readonly batchId: number | undefined
}

/** Each operation: what it is given, and what it answers. */
export interface Operations {
  commit: { request: CommitRequest; answer: CommitAnswer }
  countInvalid: { request: QueueKey & { readonly invalidCount: number }; answer: void }
  acknowledge: { request: AcknowledgeRequest; answer: void }
  lease: { request: LeaseRequest; answer: readonly LeasedBatch[] }
  release: { request: ReleaseRequest; answer: void }
  backlog: { request: undefined; answer: readonly QueueBacklog[] }
  totals: { request: { readonly adAccountId?: string; readonly isTest?: boolean }; answer: Totals }
  deadLetters: { request: DeadLetterQuery; answer: DeadLetterPage }
  replay: { request: ReplayRequest; answer: ReplayStep }
  purge: { request: PurgeRequest; answer: PurgeStep }
  expire: { request: ExpireRequest; answer: ExpireStep }
  trimDeadLetters: { request: BoundedTrimRequest; answer: TrimStep }
  addAudit: { request: Omit<AuditEntry, 'id'>; answer: void }
  auditTrail: { request: AuditQuery; answer: readonly AuditEntry[] }
  /** One step; answers where the next one starts, or undefined after the last. */
  trimDedupe: { request: TrimDedupeRequest; answer: DedupePosition | undefined }
  reseal: { request: ResealRequest; answer: ResealStep }
  recover: { request: RecoverRequest; answer: RecoverAnswer }
  size: { request: undefined; answer: QueueSize }
  /** Writes as much as a post may, and takes it away. */
  probeWrite: { request: undefined; answer: void }
  readVault: { request: undefined; answer: readonly VaultDocument[] }
  changeVault: { request: VaultChange; answer: void }
}

export type OperationKind = keyof Operations
export type RequestOf<K extends OperationKind> = Operations[K]['request']
export type AnswerOf<K extends OperationKind> = Operations[K]['answer']

export interface Operation {
  readonly kind: OperationKind
  readonly request: RequestOf<OperationKind>
}

/**
 * `refused`: this operation alone is at fault and would fail again. `unavailable`: the disk is; nothing of the group's
 * transaction was taken.
 */
export type Outcome =
  | { readonly status: 'done'; readonly answer: AnswerOf<OperationKind> }
  | { readonly status: 'refused'; readonly error: TravelError }
  | { readonly status: 'unavailable'; readonly error: TravelError }

export interface TravelError {
  readonly code: string
  readonly message: string
}

/** What an operator should hear about; the store goes on, except after `engine_died`. */
export type StoreProblem =
  /** The counter of queued events disagrees with the rows. */
  | {
      readonly problem: 'totals_wrong'
      readonly queue: QueueKey
      readonly counted: number
      readonly found: number
    }
  /** A payload that no key opens: its batch stays in the store and is not sent. */
  | { readonly problem: 'batch_unreadable'; readonly queue: QueueKey; readonly batchId: number }
  /** A dead letter that no key opens: it can be purged, but not replayed. */
  | { readonly problem: 'dead_letter_unreadable'; readonly queue: QueueKey; readonly deadLetterId: number }
  /** The queue was corrupt: it lies at `path` now, and a fresh one is in use. */
  | { readonly problem: 'queue_quarantined'; readonly path: string }
  /** PostgreSQL did not confirm a commit, most likely since its synchronous standby is away: posts are refused. */
  | { readonly problem: 'commit_in_doubt' }
  /** Nothing works until the relay starts again. */
  | { readonly problem: 'engine_died'; readonly message: string }

export function toTravelError(error: unknown): TravelError {
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: String(error) }
  return { code: 'code' in error ? String(error.code) : error.name, message: error.message }
}
