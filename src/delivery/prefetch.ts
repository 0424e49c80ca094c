/**
 * What queues hold in memory, and the traffic between it and the store. A queue and all queues together are bounded in
 * bytes; what does not fit stays in the store and is leased when there is room again.
 *
 * New batches that fill the memory must not starve older ones in the store: every few calls a lease is made in
 * any case, and room is reserved for it. Queues take turns to lease, a few at a time, so that commits pass in between. A queue
 * that may not call for a while keeps nothing in memory.
 */
import { codeOf } from '../errors.ts'
import { isHeld, isPassable, type Breaker } from './breakers.ts'
import type { DeliveryOptions } from './options.ts'
import { EVENTS_PER_CALL, haltOf, type Queue } from './queue.ts'
import { batchOf, loseLease, type Slice } from './batch.ts'
import type { Background } from './background.ts'
import type { WaitingPosts } from './waiting-posts.ts'

export interface PrefetchOptions extends DeliveryOptions {
  readonly waitingPosts: WaitingPosts
  readonly background: Background
  /** The queue has more, or may have: ask it again whether a call may leave. */
  readonly onChange: (queue: Queue) => void
  /** Acknowledgements of the batches reach the store first. */
  readonly beforeRelease: () => void
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

export class Prefetch {
  readonly #options: PrefetchOptions
  /** Queues that may lease as soon as there is room and it is their turn. */
  readonly #queueing = new Set<Queue>()
  #leases = 0
  #bytesInMemory = 0
  #isStopped = false

  constructor(options: PrefetchOptions) {
    this.#options = options
  }

  /** Takes a committed batch into memory, or releases it where there is no room or the queue is stopped. */
  take(queue: Queue, slice: Slice): void {
    if (this.#hasNoRoom(queue, slice.batch.endWait !== undefined) || this.#mayPark(queue)) {
      this.#release(queue, [slice])
    } else this.#accept(queue, slice)
  }

  /** Leases more from the store if the queue runs low. */
  refill(queue: Queue, nowMs: number): void {
    if (!this.#mayLease(queue, nowMs)) return
    if (this.#isTurn()) this.#beginLease(queue)
    else this.#queueing.add(queue)
  }

  /** Replaces slices by those that were cut from them; by none when their events have an outcome. */
  replace(queue: Queue, before: readonly Slice[], after: readonly Slice[]): void {
    for (const slice of before) this.#weigh(queue, slice, -1)
    for (const slice of after) this.#weigh(queue, slice, 1)
    this.#leaseNext()
  }

  /**
   * Releases the batches of a queue that may not call for a while. Does nothing while a call is in flight: a batch must
   * be released whole.
   */
  parkIfStopped(queue: Queue): void {
    if (this.#mayPark(queue)) this.#release(queue, this.#drain(queue))
  }

  /** The queue's leases were lost: drops its batches, and answers their posts "queued". */
  abandon(queue: Queue): void {
    for (const { batch } of this.#drain(queue)) loseLease(batch)
  }

  /** No lease from now on. */
  stop(): void {
    this.#isStopped = true
  }

  /** Counts the bytes of a slice that comes into memory (1) or leaves it (-1). */
  #weigh(queue: Queue, { payload }: Slice, sign: 1 | -1): void {
    queue.bytesInMemory += sign * payload.byteLength
    this.#bytesInMemory += sign * payload.byteLength
  }

  #accept(queue: Queue, slice: Slice): void {
    queue.add(slice)
    this.#weigh(queue, slice, 1)
  }

  #drain(queue: Queue): readonly Slice[] {
    const slices = queue.drain()
    this.replace(queue, slices, [])
    return slices
  }

  async #lease(queue: Queue): Promise<void> {
    const { store, clock, log, waitingPosts, onChange } = this.#options
    try {
      queue.hasMoreInStore = false
      queue.callsSinceLease = 0
      const limits = { maxEvents: LEASE_EVENTS, maxBytes: LEASE_BYTES }
      const leased = await store.lease({ ...queue.key, ...limits, nowMs: clock.wallMs() })
      // Only an empty answer proves that there are no more.
      if (leased.length === 0) return
      queue.hasMoreInStore = true
      const waiting = waitingPosts.byId()
      for (const one of leased) {
        const { batch, slice } = batchOf(one)
        this.#accept(queue, { ...slice, batch: waiting.get(one.batchId) ?? batch })
      }
    } catch (error) {
      queue.hasMoreInStore = true
      log.error({ code: codeOf(error) }, 'store cannot lease')
      queue.leaseAgainMs = clock.monotonicMs() + STORE_RETRY_MS
    } finally {
      queue.isLeasing = false
      this.#leases -= 1
      onChange(queue)
      this.#leaseNext()
    }
  }

  #beginLease(queue: Queue): void {
    this.#queueing.delete(queue)
    this.#leases += 1
    queue.isLeasing = true
    this.#options.background.add(this.#lease(queue))
  }

  #isTurn(): boolean {
    return (
      this.#leases < LEASES_AT_ONCE && this.#bytesInMemory + this.#leases * LEASE_BYTES < TOTAL_LIMIT_BYTES
    )
  }

  /**
   * Longest waiting first, while there is room. A queue that may no longer lease (it was paused, for example) must not use
   * up the turn of the next one.
   */
  #leaseNext(): void {
    for (const queue of this.#queueing) {
      if (!this.#isTurn()) return
      if (this.#mayLease(queue, this.#options.clock.monotonicMs())) this.#beginLease(queue)
      else {
        this.#queueing.delete(queue)
        this.#options.onChange(queue)
      }
    }
  }

  #mayLease(queue: Queue, nowMs: number): boolean {
    if (!queue.hasMoreInStore || queue.isLeasing || this.#isStopped) return false
    if (haltOf(queue, this.#options.vault) !== undefined) return false
    if (!isPassable(queue.breaker, nowMs) || queue.leaseAgainMs > nowMs) return false
    if (queue.bytesInMemory >= QUEUE_LIMIT_BYTES) return false
    return queue.eventsReady < EVENTS_PER_CALL || queue.callsSinceLease >= CALLS_PER_LEASE
  }

  /** Whether a batch that was just committed must go back to the store at once. */
  #hasNoRoom(queue: Queue, isAwaited: boolean): boolean {
    const more = isAwaited ? AWAITED_BYTES : 0
    const isQueueFull = queue.bytesInMemory >= QUEUE_LIMIT_BYTES - LEASE_BYTES + more
    return isQueueFull || this.#bytesInMemory >= TOTAL_LIMIT_BYTES + more
  }

  #mayPark(queue: Queue): boolean {
    const { vault, clock } = this.#options
    return (
      queue.calls.size === 0 &&
      (haltOf(queue, vault) !== undefined || isLongOpen(queue.breaker, clock.monotonicMs()))
    )
  }

  #release(queue: Queue, slices: readonly Slice[]): void {
    if (slices.length === 0) return
    const { background, store, onChange, beforeRelease } = this.#options
    beforeRelease()
    const batches = Array.from(mostTried(slices), ([batchId, { attempts, history }]) => {
      return { batchId, attempts, history }
    })
    const released = background.persist('store cannot release batches', () => store.release(batches))
    background.add(
      released.then(() => {
        queue.hasMoreInStore = true
        onChange(queue)
      }),
    )
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
