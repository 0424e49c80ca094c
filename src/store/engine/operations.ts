/** The operations that the batcher gathers, and that SQLite or PostgreSQL runs in one transaction. */
import type { NewDeadLetterRow } from '../core/rows.ts'
import type { FreshRows, TrailStep, TrailStepRequest } from '../core/trail-search.ts'
import type { Position, WalkStep } from '../core/walk.ts'
import type { DeadLetter, DeadLetterQuery, NewBatch, QueueKey, Store, StoreSize } from '../store.ts'
import type { Erased, EraseRequest } from '../trail.ts'

export interface DeadLetterPage {
  readonly deadLetters: readonly DeadLetter[]
  /** Where the next step starts; undefined when nothing is left. */
  readonly beforeId: number | undefined
}

/** Without what core/write-watch.ts adds. */
export type QueueSize = Omit<StoreSize, 'isWritable'>

export interface RecoverRequest {
  /** The name of the file that was quarantined. */
  readonly file: string
  /** With their ids in that file. */
  readonly batches: readonly { readonly batchId: number; readonly batch: NewBatch }[]
  readonly deadLetters: readonly (NewDeadLetterRow & { readonly id: number })[]
}

/** What was recovered of a file that was quarantined. */
export interface RecoverReport {
  readonly batches: number
  readonly events: number
  /** Events and dead letters that are in the store already, or were delivered. */
  readonly duplicates: number
  readonly deadLetters: number
  /** Batches and dead letters that were found, but are too damaged to bring back. */
  readonly unreadable: number
}

/** `folder`: absolute, empty or not there, as the relay's process sees it. */
export interface BackupRequest {
  readonly folder: string
  readonly withMasterKey: boolean
}

export interface BackupReport {
  readonly files: readonly { readonly file: string; readonly bytes: number }[]
}

/** Methods of the store that are one operation each. */
export const PLAIN = [
  'commit',
  'acknowledge',
  'lease',
  'release',
  'backlog',
  'totals',
  'replay',
  'purge',
  'expire',
  'trim',
  'addAudit',
  'auditTrail',
] as const satisfies readonly (keyof Store)[]

export type PlainKind = (typeof PLAIN)[number]

/** An operation that is one step of a walk (core/walk.ts). */
interface WalkOf<Request, Counts> {
  request: Request & { readonly from: Position }
  answer: WalkStep<Counts>
}

/** Each operation: what it is given, and what it answers. */
export type Operations = {
  [K in PlainKind]: { request: Parameters<Store[K]>[0]; answer: Awaited<ReturnType<Store[K]>> }
} & {
  deadLetters: { request: DeadLetterQuery; answer: DeadLetterPage }
  events: { request: TrailStepRequest; answer: TrailStep }
  trailChanges: { request: number | undefined; answer: FreshRows }
  erase: WalkOf<EraseRequest, Erased>
  trimDedupe: WalkOf<{ readonly seenBeforeMs: number }, object>
  reseal: WalkOf<{ readonly limit: number }, { readonly resealed: number }>
  recover: { request: RecoverRequest; answer: Omit<RecoverReport, 'unreadable'> }
  size: { request: undefined; answer: QueueSize }
  /** Writes as much as a large post, and deletes it. */
  probeWrite: { request: undefined; answer: void }
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
  | { readonly status: 'refused' | 'unavailable'; readonly error: unknown }

export type Outcomes = ReadonlyMap<Operation, Outcome>

/** The same of all of them, unless something better is known. */
export function failAll(
  operations: readonly Operation[],
  status: 'refused' | 'unavailable',
  error: unknown,
  better: Outcomes = new Map(),
): Outcomes {
  return new Map(operations.map((one) => [one, better.get(one) ?? { status, error }]))
}

/** Logged for the operator; the store continues, except after `engine_died`. */
export type StoreProblem =
  /** A payload that no key opens: its batch stays in the store and is not sent. */
  | { readonly problem: 'batch_unreadable'; readonly queue: QueueKey; readonly batchId: number }
  /** A dead letter that no key opens: it can be purged, but not replayed. */
  | { readonly problem: 'dead_letter_unreadable'; readonly queue: QueueKey; readonly deadLetterId: number }
  /** The queue was corrupt: it is at `path` now, and a fresh one is in use. */
  | { readonly problem: 'queue_quarantined'; readonly path: string }
  /** PostgreSQL did not confirm a commit, most likely since its synchronous standby is away: posts are refused. */
  | { readonly problem: 'commit_in_doubt' }
  /** PostgreSQL has lost what it confirmed: a standby was promoted that lacked it. */
  | { readonly problem: 'commits_lost' }
  /** Nothing works until the relay starts again. */
  | { readonly problem: 'engine_died'; readonly message: string }
