/**
 * What queues hold in memory, and the traffic between it and the store. A queue and all queues together are bounded in
 * bytes; what does not fit stays in the store and is leased when there is room again.
 *
 * New batches must not keep older ones in the store for ever by filling the memory: so every few calls a lease is made in
 * any case, and room is kept for it. Queues take turns to lease, a few at a time, so that commits pass in between. A queue
 * that may not call for a while keeps nothing in memory.
 */
import { codeOf } from '../telemetry/log.ts'
import type { LeasedBatch } from '../store/store.ts'
import { isHeld, isPassable, type Breaker } from './breaker.ts'
import type { DeliveryOptions } from './options.ts'
import { EVENTS_PER_CALL, type Queue } from './queue.ts'
import { batchOf, type Slice } from './batch.ts'
import type { Background } from './background.ts'
import type { WaitingPosts } from './waiting-posts.ts'

export interface PrefetchOptions extends Pick<DeliveryOptions, 'store' | 'clock' | 'log'> {
  readonly waitingPosts: WaitingPosts
  readonly background: Background
  /** An operator paused it, or its account is gone. */
  readonly isPaused: (queue: Queue) => boolean
  /** The queue has more, or may have: ask it again whether a call may leave. */
  readonly onChange: (queue: Queue) => void
  /** A lease ended; `leasedCount`: what it brought. */
  readonly onLeased: (queue: Queue, leasedCount: number) => void
}

export interface Prefetch {
  /** Takes a committed batch into memory, or releases it where there is no room or the queue is stopped. */
  take(queue: Queue, slice: Slice): void
  /** Leases more from the store if the queue runs low. */
  refill(queue: Queue, nowMs: number): void
  /** The queue leases once others have, or once there is room. */
  waitsForTurn(queue: Queue): boolean
  /** Replaces slices by those that were cut from them; by none when their events have an outcome. */
  replace(queue: Queue, before: readonly Slice[], after: readonly Slice[]): void
  /**
   * Releases the batches of a queue that may not call for a while. Does nothing while a call is in flight: a batch must
   * be released whole.
   */
  parkIfStopped(queue: Queue): void
  /** The queue's leases were lost: drops its batches, and answers their posts "queued". */
  abandon(queue: Queue): void
  /** Leases no more. */
  stop(): void
}

const QUEUE_LIMIT_BYTES = 8 * 1024 * 1024
const TOTAL_LIMIT_BYTES = 64 * 1024 * 1024
/** Of a queue's bytes, kept for what comes from the store. */
const LEASE_BYTES = 2 * 1024 * 1024
/** A lease brings two calls' worth, so that the next call need not wait for the store. */
const LEASE_EVENTS = 2 * EVENTS_PER_CALL
/** After so many calls a lease is made whatever waits in memory: at most half of the sent events come from it. */
const CALLS_PER_LEASE = 4
/** Posts that wait for their answer are few and bounded by the post limiter: they may go this far past the bounds. */
const AWAITED_BYTES = 16 * 1024 * 1024
const STORE_RETRY_MS = 1000
/** A lease takes the store some tens of milliseconds, during which commits wait. */
const LEASES_AT_ONCE = 2
/** During shorter pauses the batches stay in memory. */
const PARK_FROM_MS = 5000

export function createPrefetch(options: PrefetchOptions): Prefetch {
  const { store, waitingPosts, background, clock, log, isPaused, onChange, onLeased } = options
  /** Queues that may lease as soon as there is room and it is their turn. */
  const queueing = new Set<Queue>()
  let leases = 0
  let bytesInMemory = 0
  let isStopped = false

  /** Counts the bytes of a slice that comes into memory (1) or leaves it (-1). */
  function weigh(queue: Queue, { payload }: Slice, sign: 1 | -1): void {
    queue.bytesInMemory += sign * payload.byteLength
    bytesInMemory += sign * payload.byteLength
  }

  function accept(queue: Queue, slice: Slice): void {
    queue.add(slice)
    weigh(queue, slice, 1)
  }

  function acceptLeased(queue: Queue, leased: LeasedBatch): void {
    const { slice } = batchOf(leased)
    const awaited = waitingPosts.find(leased.batchId)
    accept(queue, awaited ? { ...slice, batch: awaited } : slice)
  }

  async function lease(queue: Queue): Promise<void> {
    let leasedCount = 0
    try {
      queue.hasMoreInStore = false
      queue.callsSinceLease = 0
      const limits = { maxEvents: LEASE_EVENTS, maxBytes: LEASE_BYTES }
      const leased = await store.lease({ ...queue.key, ...limits, nowMs: clock.wallMs() })
      // Only an empty answer proves that there are no more.
      if (leased.length > 0) queue.hasMoreInStore = true
      leasedCount = leased.length
      for (const batch of leased) acceptLeased(queue, batch)
    } catch (error) {
      queue.hasMoreInStore = true
      log.error({ code: codeOf(error) }, 'store cannot lease')
      queue.leaseAgainMs = clock.monotonicMs() + STORE_RETRY_MS
    } finally {
      queue.isLeasing = false
      leases -= 1
      onLeased(queue, leasedCount)
      onChange(queue)
      leaseNext()
    }
  }

  function beginLease(queue: Queue): void {
    queueing.delete(queue)
    leases += 1
    queue.isLeasing = true
    background.add(lease(queue))
  }

  function isTurn(): boolean {
    return leases < LEASES_AT_ONCE && bytesInMemory + leases * LEASE_BYTES < TOTAL_LIMIT_BYTES
  }

  /**
   * Longest waiting first, while there is room. A queue that may no longer lease (it was paused, for example) must not use
   * up the turn of the next one.
   */
  function leaseNext(): void {
    const nowMs = clock.monotonicMs()
    for (const queue of queueing) {
      if (!isTurn()) return
      if (mayLease(queue, nowMs)) beginLease(queue)
      else {
        queueing.delete(queue)
        onChange(queue)
      }
    }
  }

  function mayLease(queue: Queue, nowMs: number): boolean {
    if (!queue.hasMoreInStore || queue.isLeasing || isStopped || isPaused(queue)) return false
    if (!isPassable(queue.breaker, nowMs) || queue.leaseAgainMs > nowMs) return false
    if (queue.bytesInMemory >= QUEUE_LIMIT_BYTES) return false
    return queue.eventsReady < EVENTS_PER_CALL || queue.callsSinceLease >= CALLS_PER_LEASE
  }

  /** Whether a batch that was just committed must go back to the store at once. */
  function hasNoRoom(queue: Queue, isAwaited: boolean): boolean {
    const more = isAwaited ? AWAITED_BYTES : 0
    const isQueueFull = queue.bytesInMemory >= QUEUE_LIMIT_BYTES - LEASE_BYTES + more
    return isQueueFull || bytesInMemory >= TOTAL_LIMIT_BYTES + more
  }

  function mayPark(queue: Queue): boolean {
    return queue.calls.size === 0 && (isPaused(queue) || isLongOpen(queue.breaker, clock.monotonicMs()))
  }

  function giveBack(queue: Queue, slices: readonly Slice[]): void {
    if (slices.length === 0) return
    const batches = [...mostTried(slices)].map(([batchId, { attempts, history }]) => ({
      batchId,
      attempts,
      history,
    }))
    background.add(
      background
        .persist('store cannot take batches back', () => store.release(batches))
        .then(() => {
          queue.hasMoreInStore = true
          onChange(queue)
        }),
    )
  }

  return {
    take(queue, slice) {
      if (hasNoRoom(queue, slice.batch.isAwaited) || mayPark(queue)) giveBack(queue, [slice])
      else accept(queue, slice)
    },
    refill(queue, nowMs) {
      if (!mayLease(queue, nowMs)) return
      if (isTurn()) beginLease(queue)
      else queueing.add(queue)
    },
    waitsForTurn: (queue) => queueing.has(queue) && !isTurn(),
    replace(queue, before, after) {
      for (const slice of before) weigh(queue, slice, -1)
      for (const slice of after) weigh(queue, slice, 1)
      leaseNext()
    },
    parkIfStopped(queue) {
      if (!mayPark(queue)) return
      const slices = queue.drain()
      for (const slice of slices) weigh(queue, slice, -1)
      giveBack(queue, slices)
      leaseNext()
    },
    abandon(queue) {
      for (const slice of queue.drain()) {
        weigh(queue, slice, -1)
        slice.batch.isLost = true
        waitingPosts.done(slice.batch.batchId)
      }
      leaseNext()
    },
    stop: () => void (isStopped = true),
  }
}

function isLongOpen(breaker: Breaker, nowMs: number): boolean {
  return isHeld(breaker) || (breaker.status === 'open' && breaker.untilMs > nowMs + PARK_FROM_MS)
}

/** Of a batch's slices, the one that failed most often: a batch goes back whole. */
function mostTried(slices: readonly Slice[]): Map<number, Slice> {
  const found = new Map<number, Slice>()
  for (const slice of slices) {
    const { batchId } = slice.batch
    if (slice.attempts >= (found.get(batchId)?.attempts ?? 0)) found.set(batchId, slice)
  }
  return found
}
