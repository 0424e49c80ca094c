/**
 * How batches cross between the threads. Commits are most of what crosses, one or two per post, and the structured clone
 * writes every key of every object again: their requests travel as rows of one JSON text, and a receipt without
 * duplicates as its parcel id. That saves some 7 of the relay's 180 µs per post.
 */
import type { CommitRequest, FromWorker, Operation, Outcome, ToWorker } from './protocol.ts'

type Batch = Extract<ToWorker, { kind: 'batch' }>
type BatchAnswer = Extract<FromWorker, { kind: 'batch' }>

export interface WireBatch {
  readonly kind: 'batch'
  /** Null stands for the next commit. */
  readonly operations: readonly (Operation | null)[]
  /** JSON of `CommitRow`s. */
  readonly commits: string
  /** The commits' payloads, one behind the other. */
  readonly payloads: ArrayBuffer | undefined
}

export interface WireBatchAnswer {
  readonly kind: 'batch'
  /** A number is the parcel id of a commit without duplicates. */
  readonly outcomes: readonly (Outcome | number)[]
  readonly durationMs: number
}

type CommitRow = readonly [
  adAccountId: string,
  isTest: boolean,
  identities: readonly string[],
  eventTimesS: readonly number[],
  refusedCount: number,
  receivedAtMs: number,
  sizeBytes: number,
]

/** `payloads` must hold the payloads of the batch's commits in their order, and nothing else. */
export function toWire({ operations }: Batch, payloads: ArrayBuffer | undefined): WireBatch {
  const rows: CommitRow[] = []
  const others = operations.map((operation) => {
    if (operation.kind !== 'commit') return operation
    rows.push(toRow(operation.request as CommitRequest))
    return null
  })
  return { kind: 'batch', operations: others, commits: JSON.stringify(rows), payloads }
}

export function fromWire({ operations, commits, payloads = new ArrayBuffer(0) }: WireBatch): Batch {
  const rows = JSON.parse(commits) as CommitRow[]
  let next = 0
  let offset = 0
  return {
    kind: 'batch',
    operations: operations.map((operation) => {
      if (operation !== null) return operation
      const row = rows[next++]!
      const payload = new Uint8Array(payloads, offset, row[6])
      offset += row[6]
      return { kind: 'commit', request: fromRow(row, payload) }
    }),
  }
}

export function toWireAnswer({ outcomes, durationMs }: BatchAnswer): WireBatchAnswer {
  return { kind: 'batch', outcomes: outcomes.map((outcome) => parcelIdOf(outcome) ?? outcome), durationMs }
}

export function fromWireAnswer({ outcomes, durationMs }: WireBatchAnswer): BatchAnswer {
  return {
    kind: 'batch',
    outcomes: outcomes.map((outcome) =>
      typeof outcome === 'number'
        ? { status: 'done', answer: { parcelId: outcome, duplicates: NO_DUPLICATES, pendingDuplicates: 0 } }
        : outcome,
    ),
    durationMs,
  }
}

const NO_DUPLICATES: readonly number[] = []

function toRow(request: CommitRequest): CommitRow {
  const { adAccountId, isTest, identities, eventTimesS, refusedCount, receivedAtMs, payload } = request
  return [adAccountId, isTest, identities, eventTimesS, refusedCount, receivedAtMs, payload.byteLength]
}

function fromRow(row: CommitRow, payload: Uint8Array): CommitRequest {
  const [adAccountId, isTest, identities, eventTimesS, refusedCount, receivedAtMs] = row
  return { adAccountId, isTest, payload, identities, eventTimesS, refusedCount, receivedAtMs }
}

/** Of a commit's receipt without duplicates; no other answer tells of pending ones. */
function parcelIdOf(outcome: Outcome): number | undefined {
  if (outcome.status !== 'done' || outcome.answer === undefined) return undefined
  if (!('pendingDuplicates' in outcome.answer) || outcome.answer.duplicates.length > 0) return undefined
  return outcome.answer.parcelId
}
