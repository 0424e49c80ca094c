/**
 * What lanes hold in memory, and the traffic between it and the store. A lane and all lanes together are bounded in
 * bytes; what does not fit stays in the store and is leased when there is room again.
 *
 * What waits in the store is older than what has just come, and must not wait for ever because new parcels keep the
 * memory full: so every few calls some of it is leased whatever waits here, and room is kept for that. Leases take turns:
 * the store hands out few at a time, so that commits pass in between, and lanes that found no room are asked again in
 * the order in which they came. A lane that may not call for a while keeps nothing here.
 */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../log.ts'
import type { LeasedParcel, Store } from '../store/store.ts'
import { isHold } from './gate.ts'
import { EVENTS_PER_CALL, type Lane } from './lane.ts'
import { parcelOf, type Piece } from './parcel.ts'
import type { Persist } from './persist.ts'
import type { Running } from './running.ts'
import type { Waits } from './waits.ts'

export interface SupplyOptions {
  readonly store: Store
  readonly waits: Waits
  readonly running: Running
  readonly persist: Persist
  readonly clock: Clock
  readonly log: Log
  /** No call may leave for it until an operator changes that. */
  readonly isPaused: (lane: Lane) => boolean
  /** The lane has more, or may have: ask it again whether a call may leave. */
  readonly onChange: (lane: Lane) => void
  /** A lease ended; `batches`: what it brought. */
  readonly onLeased: (lane: Lane, batches: number) => void
}

export interface Supply {
  /** Takes a committed parcel over: into memory, or back to the store where there is no room or no hope. */
  take(lane: Lane, piece: Piece): void
  /** Leases more from the store if the lane runs low. */
  refill(lane: Lane, nowMs: number): void
  /** The lane leases once others have, or once there is room. */
  waitsForTurn(lane: Lane): boolean
  /** Pieces that were cut from others take their place. */
  replace(lane: Lane, before: readonly Piece[], after: readonly Piece[]): void
  /** A piece whose events all have their verdict. */
  drop(lane: Lane, piece: Piece): void
  /**
   * Empties a lane that may not call for a while into the store: that costs no memory then. Does nothing before the
   * lane's last call has ended: a parcel must come back whole.
   */
  parkIfStopped(lane: Lane): void
  /** What waits here is leased by nobody or by others: it is forgotten, and whoever waits for it is told that it is queued. */
  abandon(lane: Lane): void
  /** Leases no more. */
  stop(): void
}

const LANE_LIMIT_BYTES = 8 * 1024 * 1024
const TOTAL_LIMIT_BYTES = 64 * 1024 * 1024
/** Of a lane's bytes, kept for what comes from the store. */
const LEASE_BYTES = 2 * 1024 * 1024
/** A lease brings two calls' worth, so that the next call need not wait for the store. */
const LEASE_EVENTS = 2 * EVENTS_PER_CALL
/** After so many calls some of the store's comes, whatever waits in memory: half of what leaves, at most. */
const CALLS_PER_LEASE = 4
/** Posts that wait for their answer are few and bounded by the front door: they may go this far past the bounds. */
const AWAITED_BYTES = 16 * 1024 * 1024
const STORE_RETRY_MS = 1000
/** A lease keeps the store busy for some tens of milliseconds, which commits wait for. */
const LEASES_AT_ONCE = 2
/** Shorter pauses are waited out in memory. */
const PARK_FROM_MS = 5000

export function createSupply(options: SupplyOptions): Supply {
  const { store, waits, running, persist, clock, log, isPaused, onChange, onLeased } = options
  /** Lanes that may lease as soon as there is room and it is their turn. */
  const queueing = new Set<Lane>()
  let leases = 0
  let bytesInMemory = 0
  let isStopped = false

  /** Accounts for a piece that comes into memory (1) or leaves it (-1). */
  function weigh(lane: Lane, { payload }: Piece, sign: 1 | -1): void {
    lane.bytesInMemory += sign * payload.byteLength
    bytesInMemory += sign * payload.byteLength
  }

  function accept(lane: Lane, piece: Piece): void {
    lane.add(piece)
    weigh(lane, piece, 1)
  }

  function acceptLeased(lane: Lane, leased: LeasedParcel): void {
    const { piece } = parcelOf(leased)
    const awaited = waits.find(leased.parcelId)
    accept(lane, awaited ? { ...piece, parcel: awaited } : piece)
  }

  async function lease(lane: Lane): Promise<void> {
    let batches = 0
    try {
      lane.hasMoreInStore = false
      lane.callsSinceLease = 0
      const limits = { maxEvents: LEASE_EVENTS, maxBytes: LEASE_BYTES }
      const leased = await store.lease({ ...lane.key, ...limits, nowMs: clock.wallMs() })
      // Fewer than asked for is no proof that there are no more: only an empty answer is.
      if (leased.length > 0) lane.hasMoreInStore = true
      batches = leased.length
      for (const parcel of leased) acceptLeased(lane, parcel)
    } catch (error) {
      lane.hasMoreInStore = true
      log.error({ code: codeOf(error) }, 'store cannot lease')
      lane.leaseAgainMs = clock.monotonicMs() + STORE_RETRY_MS
    } finally {
      lane.isLeasing = false
      leases -= 1
      onLeased(lane, batches)
      onChange(lane)
      leaseNext()
    }
  }

  function beginLease(lane: Lane): void {
    queueing.delete(lane)
    leases += 1
    lane.isLeasing = true
    running.add(lease(lane))
  }

  function isTurn(): boolean {
    return leases < LEASES_AT_ONCE && bytesInMemory + leases * LEASE_BYTES < TOTAL_LIMIT_BYTES
  }

  /**
   * Those that have queued longest, as far as there is room. One that may not lease by now, since it was paused, say, must
   * not use up the turn of those behind it: nobody else would ask them.
   */
  function leaseNext(): void {
    const nowMs = clock.monotonicMs()
    for (const lane of queueing) {
      if (!isTurn()) return
      if (mayLease(lane, nowMs)) beginLease(lane)
      else {
        queueing.delete(lane)
        onChange(lane)
      }
    }
  }

  function mayLease(lane: Lane, nowMs: number): boolean {
    if (!lane.hasMoreInStore || lane.isLeasing || isStopped || isPaused(lane)) return false
    if (!lane.isPassable(nowMs) || lane.leaseAgainMs > nowMs) return false
    if (lane.bytesInMemory >= LANE_LIMIT_BYTES) return false
    return lane.eventsReady < EVENTS_PER_CALL || lane.callsSinceLease >= CALLS_PER_LEASE
  }

  /** Whether a parcel that was just committed must go back to the store at once. */
  function hasNoRoom(lane: Lane, isAwaited: boolean): boolean {
    const more = isAwaited ? AWAITED_BYTES : 0
    const isLaneFull = lane.bytesInMemory >= LANE_LIMIT_BYTES - LEASE_BYTES + more
    return isLaneFull || bytesInMemory >= TOTAL_LIMIT_BYTES + more
  }

  function isStoppedLane(lane: Lane): boolean {
    const { gate, callsInFlight } = lane
    const isHeld = gate.status === 'closed' && isHold(gate.reason)
    const isWaiting = gate.status === 'closed' && gate.untilMs > clock.monotonicMs() + PARK_FROM_MS
    return (isHeld || isWaiting || isPaused(lane)) && callsInFlight === 0
  }

  function giveBack(lane: Lane, pieces: readonly Piece[]): void {
    if (pieces.length === 0) return
    const parcels = [...mostTried(pieces)].map(([parcelId, { attempts, history }]) => ({
      parcelId,
      attempts,
      history,
    }))
    running.add(
      persist('store cannot take parcels back', () => store.release(parcels)).then(() => {
        lane.hasMoreInStore = true
        onChange(lane)
      }),
    )
  }

  return {
    take(lane, piece) {
      if (hasNoRoom(lane, piece.parcel.isAwaited) || isStoppedLane(lane)) giveBack(lane, [piece])
      else accept(lane, piece)
    },
    refill(lane, nowMs) {
      if (!mayLease(lane, nowMs)) return
      if (isTurn()) beginLease(lane)
      else queueing.add(lane)
    },
    waitsForTurn: (lane) => queueing.has(lane) && !isTurn(),
    replace(lane, before, after) {
      for (const piece of before) weigh(lane, piece, -1)
      for (const piece of after) weigh(lane, piece, 1)
      leaseNext()
    },
    drop(lane, piece) {
      weigh(lane, piece, -1)
      leaseNext()
    },
    parkIfStopped(lane) {
      if (!isStoppedLane(lane)) return
      const pieces = lane.drain()
      for (const piece of pieces) weigh(lane, piece, -1)
      giveBack(lane, pieces)
      leaseNext()
    },
    abandon(lane) {
      for (const piece of lane.drain()) {
        weigh(lane, piece, -1)
        piece.parcel.isLost = true
        waits.done(piece.parcel.parcelId)
      }
      leaseNext()
    },
    stop: () => void (isStopped = true),
  }
}

/** Of a parcel's pieces, the one that failed most often: a parcel goes back whole. */
function mostTried(pieces: readonly Piece[]): Map<number, Piece> {
  const found = new Map<number, Piece>()
  for (const piece of pieces) {
    const { parcelId } = piece.parcel
    if (piece.attempts >= (found.get(parcelId)?.attempts ?? 0)) found.set(parcelId, piece)
  }
  return found
}
