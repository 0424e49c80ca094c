/**
 * How groups cross between the threads. Commits are most of what crosses, one or two per post, and the structured clone
 * writes every key of every object again: their requests travel as rows of one JSON text, and a receipt without
 * duplicates as its batch id. That saves some 7 of the relay's 180 µs per post.
 */
import type { CommitRequest, FromWorker, Operation, Outcome, ToWorker } from '../engine/protocol.ts'

type Group = Extract<ToWorker, { kind: 'group' }>
type GroupAnswer = Extract<FromWorker, { kind: 'group' }>

export interface WireGroup {
  readonly kind: 'group'
  /** Null stands for the next commit. */
  readonly operations: readonly (Operation | null)[]
  /** JSON of `CommitRow`s. */
  readonly commits: string
  /** The commits' payloads, one behind the other. */
  readonly payloads: ArrayBuffer | undefined
}

export interface WireGroupAnswer {
  readonly kind: 'group'
  /** A number is the batch id of a commit without duplicates. */
  readonly outcomes: readonly (Outcome | number)[]
  readonly durationMs: number
}

type CommitRow = readonly [
  adAccountId: string,
  isTest: boolean,
  identities: readonly string[],
  eventTimesS: readonly number[],
  invalidCount: number,
  receivedAtMs: number,
  sizeBytes: number,
]

/** `payloads` must hold the payloads of the group's commits in their order, and nothing else. */
export function toWire({ operations }: Group, payloads: ArrayBuffer | undefined): WireGroup {
  const rows: CommitRow[] = []
  const others = operations.map((operation) => {
    if (operation.kind !== 'commit') return operation
    rows.push(toRow(operation.request as CommitRequest))
    return null
  })
  return { kind: 'group', operations: others, commits: JSON.stringify(rows), payloads }
}

export function fromWire({ operations, commits, payloads = new ArrayBuffer(0) }: WireGroup): Group {
  const rows = JSON.parse(commits) as CommitRow[]
  let next = 0
  let offset = 0
  return {
    kind: 'group',
    operations: operations.map((operation) => {
      if (operation !== null) return operation
      const row = rows[next++]!
      const payload = new Uint8Array(payloads, offset, row[6])
      offset += row[6]
      return { kind: 'commit', request: fromRow(row, payload) }
    }),
  }
}

export function toWireAnswer({ outcomes, durationMs }: GroupAnswer): WireGroupAnswer {
  return { kind: 'group', outcomes: outcomes.map((outcome) => batchIdOf(outcome) ?? outcome), durationMs }
}

export function fromWireAnswer({ outcomes, durationMs }: WireGroupAnswer): GroupAnswer {
  return {
    kind: 'group',
    outcomes: outcomes.map((outcome) =>
      typeof outcome === 'number'
        ? { status: 'done', answer: { batchId: outcome, duplicates: NO_DUPLICATES, pendingDuplicates: 0 } }
        : outcome,
    ),
    durationMs,
  }
}

const NO_DUPLICATES: readonly number[] = []

function toRow(request: CommitRequest): CommitRow {
  const { adAccountId, isTest, identities, eventTimesS, invalidCount, receivedAtMs, payload } = request
  return [adAccountId, isTest, identities, eventTimesS, invalidCount, receivedAtMs, payload.byteLength]
}

function fromRow(row: CommitRow, payload: Uint8Array): CommitRequest {
  const [adAccountId, isTest, identities, eventTimesS, invalidCount, receivedAtMs] = row
  return { adAccountId, isTest, payload, identities, eventTimesS, invalidCount, receivedAtMs }
}

/** Of a commit's receipt without duplicates; no other answer tells of pending ones. */
function batchIdOf(outcome: Outcome): number | undefined {
  if (outcome.status !== 'done' || outcome.answer === undefined) return undefined
  if (!('pendingDuplicates' in outcome.answer) || outcome.answer.duplicates.length > 0) return undefined
  return outcome.answer.batchId
}
