/**
 * What the main thread and the store's worker say to each other: operations in batches, one message each way per batch.
 *
 * Payloads travel in one buffer per message that changes hands without a copy; the operations hold views of it. Errors
 * lose their class on the way, so they travel as code and text. How commits are packed for the way is in `wire.ts`.
 */
import type { MasterKeys } from '../../vault/seal.ts'
import type { AccountRow, KeyRow } from '../../vault/vault-store.ts'
import type {
  Books,
  DeadLetter,
  DeadLetterQuery,
  LaneBacklog,
  LaneKey,
  LeasedParcel,
  LeaseRequest,
  Receipt,
  Settlement,
  StoreSize,
} from '../store.ts'

/** A `NewParcel` as it travels: flat lists clone far faster than a list of objects. */
export interface CommitRequest extends LaneKey {
  readonly payload: Uint8Array
  /** Event name and event id in turns; empty for test events, which are never compared. */
  readonly identities: readonly string[]
  readonly eventTimesS: readonly number[]
  readonly refusedCount: number
  readonly receivedAtMs: number
}

/** Most parcels are delivered whole: those travel as a flat list of ids. */
export interface SettleRequest {
  readonly wholeParcelIds: readonly number[]
  /** Of the whole ones. */
  readonly settledAtMs: number
  readonly others: readonly Settlement[]
}

export interface ReleaseRequest {
  readonly parcels: readonly { readonly parcelId: number; readonly attempts: number }[]
}

export interface ForgetSeenRequest {
  readonly seenBeforeMs: number
  /** Where the step before stopped. */
  readonly afterKey: Uint8Array
}

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

/** Each operation: what it is given, and what it answers. */
export interface Operations {
  commit: { request: CommitRequest; answer: Receipt }
  countRefused: { request: LaneKey & { readonly refusedCount: number }; answer: void }
  settle: { request: SettleRequest; answer: void }
  lease: { request: LeaseRequest; answer: readonly LeasedParcel[] }
  release: { request: ReleaseRequest; answer: void }
  backlog: { request: undefined; answer: readonly LaneBacklog[] }
  books: { request: { readonly adAccountId?: string; readonly isTest?: boolean }; answer: Books }
  deadLetters: { request: DeadLetterQuery; answer: readonly DeadLetter[] }
  /** One step; answers where the next one starts, or undefined after the last. */
  forgetSeen: { request: ForgetSeenRequest; answer: Uint8Array | undefined }
  reseal: { request: ResealRequest; answer: ResealStep }
  size: { request: undefined; answer: StoreSize }
  accounts: { request: undefined; answer: readonly AccountRow[] }
  putAccount: { request: AccountRow; answer: void }
  deleteAccount: { request: { readonly adAccountId: string }; answer: void }
  keys: { request: undefined; answer: readonly KeyRow[] }
  putKey: { request: KeyRow; answer: void }
  deleteKey: { request: { readonly keyId: string }; answer: void }
}

export type OperationKind = keyof Operations
export type RequestOf<K extends OperationKind> = Operations[K]['request']
export type AnswerOf<K extends OperationKind> = Operations[K]['answer']

export interface Operation {
  readonly kind: OperationKind
  readonly request: RequestOf<OperationKind>
}

/**
 * `refused`: this operation alone is at fault and would fail again. `unavailable`: the disk is; nothing of the batch's
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

export type ToWorker =
  | { readonly kind: 'batch'; readonly operations: readonly Operation[] }
  | { readonly kind: 'close' }

export type FromWorker =
  | { readonly kind: 'open' }
  | { readonly kind: 'failed'; readonly error: TravelError }
  | { readonly kind: 'batch'; readonly outcomes: readonly Outcome[]; readonly durationMs: number }
  | { readonly kind: 'problem'; readonly problem: StoreProblem }
  | { readonly kind: 'closed'; readonly error: TravelError | undefined }

/** What an operator should hear about; the store goes on, except after `worker_died`. */
export type StoreProblem =
  /** The counter of queued events disagrees with the rows. */
  | {
      readonly problem: 'books_off'
      readonly lane: LaneKey
      readonly counted: number
      readonly found: number
    }
  /** A payload that no key opens: its parcel stays in the store and is not sent. */
  | { readonly problem: 'parcel_unreadable'; readonly lane: LaneKey; readonly parcelId: number }
  /** Nothing works until the relay starts again. */
  | { readonly problem: 'worker_died'; readonly message: string }

/** What the worker is started with. */
export interface WorkerSettings {
  readonly queuePath: string
  readonly vaultPath: string
  readonly masterKeys: MasterKeys
  readonly storeLimitBytes: number
  readonly leaseMs: number
}

export function toTravelError(error: unknown): TravelError {
  if (!(error instanceof Error)) return { code: 'UNKNOWN', message: String(error) }
  return { code: 'code' in error ? String(error.code) : error.name, message: error.message }
}

/** Copies these into one buffer of their own, which can then be handed over. */
export function packBytes(parts: readonly Uint8Array[]): { views: Uint8Array[]; buffer: ArrayBuffer } {
  const buffer = new ArrayBuffer(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  const views = parts.map((part) => {
    const view = new Uint8Array(buffer, offset, part.byteLength)
    view.set(part)
    offset += part.byteLength
    return view
  })
  return { views, buffer }
}
