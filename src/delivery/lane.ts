/**
 * A lane: the pieces that wait for one (ad account, test or live), in the order in which they should leave.
 *
 * A piece is in one place at a time: `ready`, in a `group` (part of a call that was refused or failed, which must leave as
 * it is), `resting` until its next try, or in flight (then the driver holds it).
 *
 * A call takes, in this order: a group, since a split that waits would hold its events up twice; else up to half a call of
 * what a post is waiting for, so that a backlog does not cost the shop its answer; then what is on time, closest to its
 * hour first; then what is late, oldest first; then more of what is waited for; then replays, oldest first.
 */
import TinyQueue from 'tinyqueue'
import { ON_TIME_S, type LaneKey } from '../store/store.ts'
import { OPEN, type Gate } from './gate.ts'
import type { Piece } from './parcel.ts'
import { groupOf, membersOf, type Group } from './search.ts'

/** Pinterest's bound on one call. */
export const EVENTS_PER_CALL = 1000
/** Pinterest names no bound on a body's size; a piece larger than this travels alone. */
const BYTES_PER_CALL = 4 * 1024 * 1024
/** What a backlog leaves of each call to posts that wait for their answer. */
const AWAITED_PER_CALL = EVENTS_PER_CALL / 2

interface Resting {
  readonly group: Group
  /** Leaves as it is; else its pieces join the others. */
  readonly isGroup: boolean
  readonly untilMs: number
}

/** Of two events from one second, the one that was taken first. */
function byEventTime(a: Piece, b: Piece): number {
  return a.oldestEventTimeS - b.oldestEventTimeS || a.parcel.parcelId - b.parcel.parcelId
}

function byArrival(a: Piece, b: Piece): number {
  return a.parcel.parcelId - b.parcel.parcelId
}

export class Lane {
  readonly key: LaneKey
  gate: Gate = OPEN
  callsInFlight = 0
  /** Parcels wait in the store that are not here. */
  hasMoreInStore = false
  isLeasing = false
  /** Monotonic: the store could not lease, and is not asked before. */
  leaseAgainMs = -Infinity
  callsSinceLease = 0
  /** The driver's: whether the lane is in its queue, and when it last had a turn. */
  isScheduled = false
  servedTurn = 0
  /** Monotonic: since when its next call waits for the guard; undefined: it does not. */
  waitsForGuardSinceMs: number | undefined
  /** Of the pieces here, those in flight included. */
  bytesInMemory = 0
  /** Of the pieces that could leave now. */
  eventsReady = 0
  #groups: Group[] = []
  #awaited = new TinyQueue<Piece>([], byArrival)
  #onTime = new TinyQueue<Piece>([], byEventTime)
  #late = new TinyQueue<Piece>([], byEventTime)
  #replays = new TinyQueue<Piece>([], byEventTime)
  #resting = new TinyQueue<Resting>([], (a, b) => a.untilMs - b.untilMs)

  constructor(key: LaneKey) {
    this.key = key
  }

  add(piece: Piece): void {
    this.eventsReady += piece.positions.length
    this.#queueOf(piece).push(piece)
  }

  /** Leaves as one call of its own. */
  addGroup(group: Group): void {
    this.#groups.push(group)
  }

  /** Until their next try; a group stays one. */
  rest(group: Group, untilMs: number, isGroup: boolean): void {
    this.#resting.push({ group, untilMs, isGroup })
  }

  /** Ends every rest and every group: what made these pieces fail seems to be over. */
  wakeAll(): void {
    const groups = this.#groups.splice(0)
    while (this.#resting.length > 0) groups.push(this.#resting.pop()!.group)
    for (const piece of groups.flatMap(membersOf)) this.add(piece)
  }

  /** Pieces that could leave if a slot were free. */
  hasReady(nowMs: number): boolean {
    while ((this.#resting.peek()?.untilMs ?? Infinity) <= nowMs) {
      const { group, isGroup } = this.#resting.pop()!
      if (isGroup) this.addGroup(group)
      else for (const piece of membersOf(group)) this.add(piece)
    }
    return this.#groups.length > 0 || this.eventsReady > 0
  }

  /** Open, or closed for long enough that a trial may leave. */
  isPassable(nowMs: number): boolean {
    return this.gate.status === 'open' || this.gate.untilMs <= nowMs
  }

  /**
   * Whether a call may leave now, as far as this lane alone can tell. Not a call that is not full while the store is
   * bringing more.
   */
  mayCall(nowMs: number, slots: number): boolean {
    if (!this.isPassable(nowMs) || !this.hasReady(nowMs)) return false
    if (this.isLeasing && this.#groups.length === 0 && this.eventsReady < EVENTS_PER_CALL) return false
    return this.callsInFlight < (this.gate.status === 'open' ? slots : 1)
  }

  /** Whether anything waits for a call, here or in the store. What is in flight is not counted. */
  hasWork(nowMs: number): boolean {
    return this.hasReady(nowMs) || this.#resting.length > 0 || this.hasMoreInStore
  }

  /**
   * When `mayCall`, or whether the store may be asked for more, may change by time alone; undefined: not by time. At the
   * moment `nowMs` it names every pause that forbids something then: who was refused by one is asked again at its end.
   */
  nextChangeMs(nowMs: number): number | undefined {
    const wakes: number[] = []
    const hasWork = this.hasReady(nowMs) || this.hasMoreInStore
    if (this.gate.status === 'closed' && !this.isPassable(nowMs) && hasWork) wakes.push(this.gate.untilMs)
    const firstRested = this.#resting.peek()
    if (firstRested) wakes.push(firstRested.untilMs)
    if (this.hasMoreInStore && this.leaseAgainMs > nowMs) wakes.push(this.leaseAgainMs)
    return wakes.length === 0 ? undefined : Math.min(...wakes)
  }

  /** Takes out what leaves with the next call: at most 1,000 events, never none. Asks for `hasReady`. */
  takeCall(wallMs: number): Group {
    this.callsSinceLease += 1
    const group = this.#groups.shift()
    if (group) return group
    this.#sortOut(wallMs)
    const pieces: Piece[] = []
    let events = 0
    let bytes = 0
    const fill = (queue: TinyQueue<Piece>, limit: number) => {
      for (let piece = queue.peek(); piece; piece = queue.peek()) {
        const eventsWith = events + piece.positions.length
        const bytesWith = bytes + piece.payload.byteLength
        if (pieces.length > 0 && (eventsWith > limit || bytesWith > BYTES_PER_CALL)) return
        pieces.push(queue.pop()!)
        ;[events, bytes] = [eventsWith, bytesWith]
      }
    }
    fill(this.#awaited, AWAITED_PER_CALL)
    for (const queue of [this.#onTime, this.#late, this.#awaited, this.#replays]) fill(queue, EVENTS_PER_CALL)
    this.eventsReady -= events
    return groupOf(pieces)
  }

  /** Takes every waiting piece out. */
  drain(): Piece[] {
    const pieces: Piece[] = []
    this.wakeAll()
    for (const queue of [this.#awaited, this.#onTime, this.#late, this.#replays]) {
      while (queue.length > 0) pieces.push(queue.pop()!)
    }
    this.eventsReady = 0
    return pieces
  }

  #queueOf({ parcel }: Piece): TinyQueue<Piece> {
    if (parcel.isReplay) return this.#replays
    return parcel.isAwaited ? this.#awaited : this.#onTime
  }

  /** What nobody waits for any longer, and what has become late: each stands at the head of its queue. */
  #sortOut(wallMs: number): void {
    while (this.#awaited.peek()?.parcel.isAwaited === false) this.#onTime.push(this.#awaited.pop()!)
    const edgeS = wallMs / 1000 - ON_TIME_S
    while ((this.#onTime.peek()?.oldestEventTimeS ?? Infinity) <= edgeS) this.#late.push(this.#onTime.pop()!)
  }
}
