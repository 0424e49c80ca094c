/**
 * Batches in memory. A batch starts as one slice; a refused call is split by cutting its batches into smaller slices.
 * The batch collects its events' outcomes.
 */
import type { EventResult } from '../pinterest/pinterest.ts'
import {
  HISTORY_LIMIT,
  type DeadStatus,
  type HistoryEntry,
  type QueueKey,
  type LeasedBatch,
} from '../store/store.ts'
import { pickEvents, splitEvents } from '../store/payload.ts'
import type { PostTrace } from '../telemetry/tracing.ts'

/** The outcome of one event so far. */
export type EventOutcome =
  | { readonly status: 'queued' }
  | { readonly status: 'delivered'; readonly warningMessage: string }
  | {
      readonly status: DeadStatus
      readonly errorMessage: string
      readonly warningMessage: string
    }

export interface Batch extends QueueKey {
  /** The post's; none for a batch from the store. */
  readonly trace: PostTrace | undefined
  readonly batchId: number
  /** One entry per event of the stored payload. */
  readonly outcomes: EventOutcome[]
  /** From a dead letter: sent last. */
  readonly isReplay: boolean
  /** Events without a final outcome. */
  pendingCount: number
  /** Its lease was lost: another replica may send it. */
  isLost: boolean
  /** While its post waits for the outcome: ends the wait. */
  endWait: (() => void) | undefined
}

/** Events of one batch that are sent together. */
export interface Slice {
  readonly batch: Batch
  /** Positions in the batch's stored payload, in the payload's order. */
  readonly positions: readonly number[]
  /** The bytes of just these events. */
  readonly payload: Uint8Array
  readonly oldestEventTimeS: number
  /** Failed calls that were retried. */
  attempts: number
  history: readonly HistoryEntry[]
}

const QUEUED: EventOutcome = { status: 'queued' }

export function batchOf(leased: LeasedBatch, trace?: PostTrace): { batch: Batch; slice: Slice } {
  const { batchId, adAccountId, isTest, isReplay, eventCount } = leased
  const outcomes: EventOutcome[] = []
  const positions: number[] = []
  const acknowledged = new Set(leased.acknowledged)
  for (let index = 0; index < eventCount; index++) {
    outcomes.push(QUEUED)
    if (!acknowledged.has(index)) positions.push(index)
  }
  const batch: Batch = {
    trace,
    batchId,
    adAccountId,
    isTest,
    isReplay,
    outcomes,
    pendingCount: positions.length,
    isLost: false,
    endWait: undefined,
  }
  const { oldestEventTimeS, attempts, history } = leased
  const isWhole = positions.length === eventCount
  const payload = isWhole ? leased.payload : pickEvents(leased.payload, positions)
  return { batch, slice: { batch, positions, payload, oldestEventTimeS, attempts, history } }
}

/** Another replica may send it: its post is answered "queued". */
export function loseLease(batch: Batch): void {
  batch.isLost = true
  batch.endWait?.()
}

/** After so many failed calls with the same events, one of the events may be the cause. */
const ATTEMPTS_TOGETHER = 3

export function failedOften(slice: Slice): boolean {
  return hasFailed(slice, ATTEMPTS_TOGETHER)
}

/** In so many calls. What failed before its replay begins anew. */
export function hasFailed({ attempts, history }: Slice, calls = 1): boolean {
  return attempts >= calls && !history.slice(-calls).some(({ reason }) => reason === 'replayed')
}

export function withEntry(history: readonly HistoryEntry[], entry: HistoryEntry): readonly HistoryEntry[] {
  return [...history, entry].slice(-HISTORY_LIMIT)
}

/** A smaller slice, of the events at these places within the slice. */
function cutSlice(slice: Slice, places: readonly number[]): Slice {
  return {
    ...slice,
    positions: places.map((place) => slice.positions[place]!),
    payload: pickEvents(slice.payload, places),
  }
}

/** Splits a slice by age: `expired` has the events before `oldestS` (seconds since the epoch). */
export function expireEvents(slice: Slice, oldestS: number): { expired?: Slice; kept?: Slice } {
  const expired: number[] = []
  const kept: number[] = []
  const times = splitEvents(slice.payload).map(
    (json) => (JSON.parse(json) as { event_time: number }).event_time,
  )
  times.forEach((timeS, place) => (timeS < oldestS ? expired : kept).push(place))
  if (kept.length === 0) return { expired: slice }
  if (expired.length === 0) return { kept: slice }
  const oldestEventTimeS = Math.min(...kept.map((place) => times[place]!))
  return { expired: cutSlice(slice, expired), kept: { ...cutSlice(slice, kept), oldestEventTimeS } }
}

export function countEvents(slices: readonly Slice[]): number {
  return slices.reduce((sum, { positions }) => sum + positions.length, 0)
}

/** Cuts slices in two: the first part has `firstCount` events. */
export function cut(slices: readonly Slice[], firstCount: number): [Slice[], Slice[]] {
  const first: Slice[] = []
  const second: Slice[] = []
  let room = firstCount
  for (const slice of slices) {
    const count = slice.positions.length
    if (count <= room) first.push(slice)
    else if (room <= 0) second.push(slice)
    else {
      const places = Array.from(slice.positions.keys())
      first.push(cutSlice(slice, places.slice(0, room)))
      second.push(cutSlice(slice, places.slice(room)))
    }
    room -= count
  }
  return [first, second]
}

/** Notes a final outcome; the first one counts. */
export function note(batch: Batch, position: number, outcome: EventOutcome): void {
  if (batch.outcomes[position]?.status !== 'queued') return
  batch.outcomes[position] = outcome
  batch.pendingCount -= 1
}

/** Most results have no message; they share one outcome. */
const DELIVERED: EventOutcome = { status: 'delivered', warningMessage: '' }

export function outcomeOf(result: EventResult, scrubText: (text: string) => string): EventOutcome {
  if (result.status === 'processed' && result.warningMessage === '') return DELIVERED
  const warningMessage = scrubText(result.warningMessage)
  return result.status === 'processed'
    ? { status: 'delivered', warningMessage }
    : { status: 'rejected', errorMessage: scrubText(result.errorMessage), warningMessage }
}
