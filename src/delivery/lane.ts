/**
 * A lane: the pieces that wait for one (ad account, test or live), in the order in which they should leave.
 *
 * A piece is in one place at a time: `ready` (on time or late), in a `group` (part of a call that was split, which must
 * leave as it is), `resting` until its next try, or in flight (then the driver holds it). Order: groups first, since a split
 * that waits would hold its events up twice; then what is on time, closest to its hour first; then what is late, oldest
 * first.
 */
import TinyQueue from 'tinyqueue'
import { ON_TIME_S, type LaneKey } from '../store/store.ts'
import { OPEN, type Gate } from './gate.ts'
import type { Piece } from './parcel.ts'

/** Pinterest's bound on one call. */
export const EVENTS_PER_CALL = 1000
/** Pinterest names no bound on a body's size; a piece larger than this travels alone. */
const BYTES_PER_CALL = 4 * 1024 * 1024
interface Resting {
  readonly pieces: readonly Piece[]
  readonly isGroup: boolean
  readonly untilMs: number
}

/** Of two events from one second, the one that was taken first. */
function byEventTime(a: Piece, b: Piece): number {
  return a.oldestEventTimeS - b.oldestEventTimeS || a.parcel.parcelId - b.parcel.parcelId
}

export class Lane {
  readonly key: LaneKey
  gate: Gate = OPEN
  callsInFlight = 0
  /** Parcels wait in the store that are not here. */
  hasMoreInStore = false
  isLeasing = false
  /** The driver's: whether the lane is in its queue, and when it last had a turn. */
  isScheduled = false
  servedTurn = 0
  /** Of the pieces here, those in flight included. */
  bytesInMemory = 0
  eventsInMemory = 0
  #groups: (readonly Piece[])[] = []
  #onTime = new TinyQueue<Piece>([], byEventTime)
  #late = new TinyQueue<Piece>([], byEventTime)
  #resting = new TinyQueue<Resting>([], (a, b) => a.untilMs - b.untilMs)

  constructor(key: LaneKey) {
    this.key = key
  }

  add(piece: Piece): void {
    this.#onTime.push(piece)
  }

  /** Part of a call that was split: leaves as one call of its own. */
  addGroup(pieces: readonly Piece[]): void {
    this.#groups.push(pieces)
  }

  /** Until their next try; a group stays one. */
  rest(pieces: readonly Piece[], untilMs: number, isGroup: boolean): void {
    this.#resting.push({ pieces, untilMs, isGroup })
  }

  /** Ends every rest and every group: what made these pieces fail seems to be over. */
  wakeAll(): void {
    for (const piece of this.#groups.splice(0).flat()) this.add(piece)
    while (this.#resting.length > 0) for (const piece of this.#resting.pop()!.pieces) this.add(piece)
  }

  /** Pieces that could leave if a slot were free. */
  hasReady(nowMs: number): boolean {
    while ((this.#resting.peek()?.untilMs ?? Infinity) <= nowMs) {
      const { pieces, isGroup } = this.#resting.pop()!
      if (isGroup) this.addGroup(pieces)
      else for (const piece of pieces) this.add(piece)
    }
    return this.#groups.length > 0 || this.#onTime.length > 0 || this.#late.length > 0
  }

  /** Open, or closed for long enough that a trial may leave. */
  isPassable(nowMs: number): boolean {
    return this.gate.status === 'open' || this.gate.untilMs <= nowMs
  }

  /** Whether a call may leave now, as far as this lane alone can tell. */
  mayCall(nowMs: number, slots: number): boolean {
    if (!this.isPassable(nowMs) || !this.hasReady(nowMs)) return false
    return this.callsInFlight < (this.gate.status === 'open' ? slots : 1)
  }

  /** When `mayCall` may change by time alone; undefined: not by time. */
  nextChangeMs(nowMs: number): number | undefined {
    const wakes: number[] = []
    const hasWork = this.hasReady(nowMs) || this.hasMoreInStore
    if (this.gate.status === 'closed' && !this.isPassable(nowMs) && hasWork) wakes.push(this.gate.untilMs)
    const firstRested = this.#resting.peek()
    if (firstRested) wakes.push(firstRested.untilMs)
    return wakes.length === 0 ? undefined : Math.min(...wakes)
  }

  /** Takes the pieces of the next call out: at most 1,000 events, never none. Asks for `hasReady`. */
  takeCall(wallMs: number): readonly Piece[] {
    const group = this.#groups.shift()
    if (group) return group
    this.#sortOutLate(wallMs)
    const pieces: Piece[] = []
    let events = 0
    let bytes = 0
    for (const queue of [this.#onTime, this.#late]) {
      for (let piece = queue.peek(); piece; piece = queue.peek()) {
        events += piece.positions.length
        bytes += piece.payload.byteLength
        if (pieces.length > 0 && (events > EVENTS_PER_CALL || bytes > BYTES_PER_CALL)) return pieces
        pieces.push(queue.pop()!)
      }
    }
    return pieces
  }

  /** Takes every waiting piece out. */
  drain(): Piece[] {
    const pieces: Piece[] = []
    this.wakeAll()
    while (this.#onTime.length > 0) pieces.push(this.#onTime.pop()!)
    while (this.#late.length > 0) pieces.push(this.#late.pop()!)
    return pieces
  }

  /** The on-time queue is ordered by age, so what has become late stands at its head. */
  #sortOutLate(wallMs: number): void {
    const edgeS = wallMs / 1000 - ON_TIME_S
    while ((this.#onTime.peek()?.oldestEventTimeS ?? Infinity) <= edgeS) this.#late.push(this.#onTime.pop()!)
  }
}
