/**
 * What lanes hold in memory, and the traffic between it and the store. A lane and all lanes together are bounded in
 * bytes; what does not fit stays in the store and is leased when there is room again.
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
  /** The lane has more, or may have: ask it again whether a call may leave. */
  readonly onChange: (lane: Lane) => void
}

export interface Supply {
  /** Takes a committed parcel over: into memory, or back to the store where there is no room or no hope. */
  take(lane: Lane, piece: Piece): void
  /** Leases more from the store if the lane runs low. */
  refill(lane: Lane): void
  /** Pieces that were cut from others take their place. */
  replace(lane: Lane, before: readonly Piece[], after: readonly Piece[]): void
  /** A piece whose events all have their verdict. */
  drop(lane: Lane, piece: Piece): void
  /**
   * Empties a held lane into the store: a hold may last, and costs no memory then. Does nothing before the lane's last
   * call has ended: a parcel must come back whole.
   */
  parkIfHeld(lane: Lane): void
  /** Leases no more. */
  stop(): void
}

const LANE_LIMIT_BYTES = 8 * 1024 * 1024
const TOTAL_LIMIT_BYTES = 64 * 1024 * 1024
/** A lease brings two calls' worth, so that the next call need not wait for the store. */
const LEASE_EVENTS = 2 * EVENTS_PER_CALL
const STORE_RETRY_MS = 1000

export function createSupply(options: SupplyOptions): Supply {
  const { store, waits, running, persist, clock, log, onChange } = options
  let bytesInMemory = 0
  let isStopped = false

  /** Accounts for a piece that comes into memory (1) or leaves it (-1). */
  function weigh(lane: Lane, { payload, positions }: Piece, sign: 1 | -1): void {
    lane.bytesInMemory += sign * payload.byteLength
    lane.eventsInMemory += sign * positions.length
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
    try {
      lane.hasMoreInStore = false
      const limits = { maxEvents: LEASE_EVENTS, maxBytes: LANE_LIMIT_BYTES - lane.bytesInMemory }
      const leased = await store.lease({ ...lane.key, ...limits, nowMs: clock.wallMs() })
      // Fewer than asked for is no proof that there are no more: only an empty answer is.
      if (leased.length > 0) lane.hasMoreInStore = true
      for (const parcel of leased) acceptLeased(lane, parcel)
    } catch (error) {
      lane.hasMoreInStore = true
      log.error({ code: codeOf(error) }, 'store cannot lease')
      if (!isStopped) await new Promise<void>((resolve) => void clock.after(STORE_RETRY_MS, resolve))
    } finally {
      lane.isLeasing = false
      onChange(lane)
    }
  }

  function giveBack(lane: Lane, pieces: readonly Piece[]): void {
    if (pieces.length === 0) return
    const attempts = new Map<number, number>()
    for (const { parcel, attempts: count } of pieces) {
      attempts.set(parcel.parcelId, Math.max(count, attempts.get(parcel.parcelId) ?? 0))
    }
    const parcels = Array.from(attempts, ([parcelId, count]) => ({ parcelId, attempts: count }))
    running.add(
      persist('store cannot take parcels back', () => store.release(parcels)).then(() => {
        lane.hasMoreInStore = true
        onChange(lane)
      }),
    )
  }

  return {
    take(lane, piece) {
      const isFull = lane.bytesInMemory > LANE_LIMIT_BYTES || bytesInMemory > TOTAL_LIMIT_BYTES
      if (isFull || isParkable(lane)) giveBack(lane, [piece])
      else accept(lane, piece)
    },
    refill(lane) {
      const isLow = lane.eventsInMemory < EVENTS_PER_CALL && lane.bytesInMemory < LANE_LIMIT_BYTES
      if (!lane.hasMoreInStore || lane.isLeasing || !isLow || isStopped) return
      if (!lane.isPassable(clock.monotonicMs())) return
      if (bytesInMemory > TOTAL_LIMIT_BYTES && lane.bytesInMemory > 0) return
      lane.isLeasing = true
      running.add(lease(lane))
    },
    replace(lane, before, after) {
      for (const piece of before) weigh(lane, piece, -1)
      for (const piece of after) weigh(lane, piece, 1)
    },
    drop: (lane, piece) => weigh(lane, piece, -1),
    parkIfHeld(lane) {
      if (!isParkable(lane)) return
      const pieces = lane.drain()
      for (const piece of pieces) weigh(lane, piece, -1)
      giveBack(lane, pieces)
    },
    stop: () => void (isStopped = true),
  }
}

function isParkable({ gate, callsInFlight }: Lane): boolean {
  return gate.status === 'closed' && isHold(gate.reason) && callsInFlight === 0
}
