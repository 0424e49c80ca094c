/**
 * Parcels in memory. A parcel comes in one piece; a refused call is split by cutting its parcels into smaller pieces.
 * The parcel collects what becomes of its events.
 */
import type { EventResult } from '../pinterest/outcome.ts'
import { HISTORY_LIMIT, type HistoryEntry, type LaneKey, type LeasedParcel } from '../store/store.ts'
import { pickEvents } from '../store/payload.ts'
import { NO_POST_TRACE, type PostTrace } from '../tracing/tracing.ts'

/** What became of one event so far. */
export type EventOutcome =
  | { readonly status: 'queued' }
  | { readonly status: 'delivered'; readonly warningMessage: string }
  | {
      readonly status: 'rejected' | 'expired'
      readonly errorMessage: string
      readonly warningMessage: string
    }

export interface Parcel extends LaneKey {
  /** Of the post that it came with; of none where it comes from the store. */
  readonly trace: PostTrace
  readonly parcelId: number
  /** One entry per event of the stored payload. */
  readonly outcomes: EventOutcome[]
  /** From a dead letter: it leaves behind everything else. */
  readonly isReplay: boolean
  /** Events without a final verdict. */
  pendingCount: number
  /** Not this process's any more: it is in other hands. */
  isLost: boolean
  /** Its post waits for the verdict. */
  isAwaited: boolean
}

/** Events of one parcel that travel together. */
export interface Piece {
  readonly parcel: Parcel
  /** Positions in the parcel's stored payload, in the payload's order. */
  readonly positions: readonly number[]
  /** The bytes of just these events. */
  readonly payload: Uint8Array
  readonly oldestEventTimeS: number
  /** Calls that failed with it in a way that is worth another try. */
  attempts: number
  history: readonly HistoryEntry[]
}

const QUEUED: EventOutcome = { status: 'queued' }

export function parcelOf(
  leased: LeasedParcel,
  trace: PostTrace = NO_POST_TRACE,
): { parcel: Parcel; piece: Piece } {
  const { parcelId, adAccountId, isTest, isReplay, eventCount } = leased
  const settled = new Set(leased.settled)
  const positions: number[] = []
  for (let index = 0; index < eventCount; index++) if (!settled.has(index)) positions.push(index)
  const parcel: Parcel = {
    trace,
    parcelId,
    adAccountId,
    isTest,
    isReplay,
    outcomes: Array.from({ length: eventCount }, () => QUEUED),
    pendingCount: positions.length,
    isLost: false,
    isAwaited: false,
  }
  const { oldestEventTimeS, attempts, history } = leased
  const payload = settled.size === 0 ? leased.payload : pickEvents(leased.payload, positions)
  return { parcel, piece: { parcel, positions, payload, oldestEventTimeS, attempts, history } }
}

/** One more call failed with it. */
export function noteFailure(piece: Piece, entry: HistoryEntry): void {
  piece.attempts += 1
  piece.history = withEntry(piece.history, entry)
}

export function withEntry(history: readonly HistoryEntry[], entry: HistoryEntry): readonly HistoryEntry[] {
  return [...history, entry].slice(-HISTORY_LIMIT)
}

/** A smaller piece, of the events at these places within the piece. */
export function cutPiece(piece: Piece, places: readonly number[]): Piece {
  return {
    ...piece,
    positions: places.map((place) => piece.positions[place]!),
    payload: pickEvents(piece.payload, places),
  }
}

/** Halves a group of pieces by events; the first half is never smaller. Asks for at least two events. */
export function halve(pieces: readonly Piece[]): [Piece[], Piece[]] {
  const total = pieces.reduce((sum, { positions }) => sum + positions.length, 0)
  const first: Piece[] = []
  const second: Piece[] = []
  let room = Math.ceil(total / 2)
  for (const piece of pieces) {
    const count = piece.positions.length
    if (count <= room) first.push(piece)
    else if (room <= 0) second.push(piece)
    else {
      const places = Array.from(piece.positions.keys())
      first.push(cutPiece(piece, places.slice(0, room)))
      second.push(cutPiece(piece, places.slice(room)))
    }
    room -= count
  }
  return [first, second]
}

/** Notes a final verdict; the first one counts. */
export function note(parcel: Parcel, position: number, outcome: EventOutcome): void {
  if (parcel.outcomes[position]?.status !== 'queued') return
  parcel.outcomes[position] = outcome
  parcel.pendingCount -= 1
}

/** Most results say nothing; they share one outcome. */
const DELIVERED: EventOutcome = { status: 'delivered', warningMessage: '' }

export function outcomeOf(result: EventResult, scrubText: (text: string) => string): EventOutcome {
  if (result.status === 'processed' && result.warningMessage === '') return DELIVERED
  const warningMessage = scrubText(result.warningMessage)
  return result.status === 'processed'
    ? { status: 'delivered', warningMessage }
    : { status: 'rejected', errorMessage: scrubText(result.errorMessage), warningMessage }
}
