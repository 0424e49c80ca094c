/**
 * Admission of bodies: how many bytes may be read, or wait to be parsed, at once. A large body waits unread: its sender's
 * socket is full then, and nothing of it is held here. Small bodies have a space of their own, so that none waits behind
 * large ones. An account may take half of the space for large ones and a quarter of that for small ones: a storefront whose
 * uploads stall (`createArrivals` ends them) delays nobody else's. What does not fit is refused before it is read.
 */
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { TooBusy } from '../errors.ts'
import { createSlots } from '../slots.ts'
import { LARGE_BYTES } from '../store/engine/work.ts'
import type { IncomingMessage } from 'node:http'

/** Bodies of the largest size that fit at the same time: of an account, one is read while another is parsed. */
const LARGE_BODIES = 4
const LARGE_BODIES_OF_ONE = 2
const SMALL_BODIES = 8
const SMALL_BODIES_OF_ONE = 2
/** Clients give up after 10 s, as a rule: the answer should come before. */
const LONGEST_WAIT_MS = 5000

interface Waiting {
  readonly adAccountId: string
  readonly sizeBytes: number
  readonly enter: () => void
}

export type Admission = ReturnType<typeof createAdmission>

export function createAdmission(bodyLimitBytes: number, { after }: Pick<Clock, 'after'>) {
  const small = createSpace(SMALL_BODIES * bodyLimitBytes, SMALL_BODIES_OF_ONE * bodyLimitBytes)
  const large = createSpace(LARGE_BODIES * bodyLimitBytes, LARGE_BODIES_OF_ONE * bodyLimitBytes)
  const line = new Set<Waiting>()
  let inside = 0
  let onEmptied = () => {}

  /** In order of arrival, but no account waits for another that has its share. */
  function admitWaiting(): void {
    const full = new Set<string>()
    for (const waiting of line) {
      const { adAccountId, sizeBytes } = waiting
      if (sizeBytes > large.freeBytes()) return
      if (full.has(adAccountId) || !large.take(adAccountId, sizeBytes)) full.add(adAccountId)
      else waiting.enter()
    }
  }

  return {
    /**
     * Calls back when the post's body may be read, or with TOO_BUSY; a large body may wait first. The returned function
     * releases the space, or the place in the line, and may be called more than once.
     */
    enter(
      { headers }: Pick<FastifyRequest, 'headers'>,
      adAccountId: string,
      onEntered: (error?: Error) => void,
    ): () => void {
      // Without a length (chunked) it may become as large as is allowed. Over the limit it is refused unread.
      const announced = Number(headers['content-length'] ?? bodyLimitBytes)
      const sizeBytes = announced <= bodyLimitBytes ? announced : 0
      const isLarge = sizeBytes >= LARGE_BYTES
      let isInside = false
      let stopWaiting = () => {}
      const waiting: Waiting = { adAccountId, sizeBytes, enter: () => endWait(true) }
      function endWait(isAdmitted: boolean): void {
        isInside = isAdmitted
        stopWaiting()
        line.delete(waiting)
        onEntered(isAdmitted ? undefined : new TooBusy())
      }
      if (isLarge) {
        stopWaiting = after(LONGEST_WAIT_MS, () => {
          endWait(false)
          // The next one may be smaller.
          admitWaiting()
        })
        line.add(waiting)
        admitWaiting()
      } else endWait(small.take(adAccountId, sizeBytes))
      let isOver = false
      inside += 1
      return () => {
        if (isOver) return
        isOver = true
        stopWaiting()
        const isWaiting = line.delete(waiting)
        if (isInside) (isLarge ? large : small).release(adAccountId, sizeBytes)
        if (isLarge && (isInside || isWaiting)) admitWaiting()
        inside -= 1
        if (inside === 0) onEmptied()
      }
    },
    /** Resolves once no post is inside, or waits to be. */
    async emptied(): Promise<void> {
      while (inside > 0) await new Promise<void>((resolve) => (onEmptied = resolve))
    },
  }
}

/** A number of bytes, of which an account may take its share. */
function createSpace(totalBytes: number, shareBytes: number) {
  let freeBytes = totalBytes
  /** Of the accounts that have something inside. */
  const takenBytes = new Map<string, number>()
  return {
    freeBytes: () => freeBytes,
    take(adAccountId: string, sizeBytes: number): boolean {
      const takenByOne = (takenBytes.get(adAccountId) ?? 0) + sizeBytes
      if (sizeBytes > freeBytes || takenByOne > shareBytes) return false
      freeBytes -= sizeBytes
      takenBytes.set(adAccountId, takenByOne)
      return true
    },
    release(adAccountId: string, sizeBytes: number): void {
      freeBytes += sizeBytes
      const leftBytes = (takenBytes.get(adAccountId) ?? 0) - sizeBytes
      if (leftBytes > 0) takenBytes.set(adAccountId, leftBytes)
      else takenBytes.delete(adAccountId)
    },
  }
}

/** A post whose body is being read. `bytesRead` includes its head, which is harmless. */
export type Arriving = Pick<IncomingMessage, 'complete' | 'destroyed'> & {
  readonly socket: { readonly bytesRead: number }
}

interface Arrival {
  readonly request: Arriving
  readonly startedMs: number
  readonly startBytes: number
  readonly onTooSlow: () => void
  slot: number
}

/** No slot. */
const ENDED = -1
const CHECK_EVERY_MS = 1000
const GRACE_MS = 5000
/** A 60 KB body has 9 s at most; one of 8 MiB must be faster anyway to come within the time limit of a request. */
export const LOWEST_BYTES_PER_S = 16 * 1024

/**
 * Ends posts whose body comes too slowly, since it holds space meanwhile. Checked once a second: after a grace of some
 * seconds a body must have come at the lowest rate.
 */
export function createArrivals({ monotonicMs, after }: Pick<Clock, 'monotonicMs' | 'after'>) {
  const arriving = createSlots<Arrival>()
  let isScheduled = false

  function check(): void {
    const nowMs = monotonicMs()
    for (const arrival of arriving) {
      const { request, startedMs, startBytes, onTooSlow } = arrival
      const dueBytes = ((nowMs - startedMs - GRACE_MS) / 1000) * LOWEST_BYTES_PER_S
      const isOver = request.complete || request.destroyed
      if (!isOver && request.socket.bytesRead - startBytes >= dueBytes) continue
      end(arrival)
      if (!isOver) onTooSlow()
    }
    isScheduled = false
    scheduleCheck()
  }

  function end(arrival: Arrival): void {
    arriving.take(arrival.slot)
    arrival.slot = ENDED
  }

  function scheduleCheck(): void {
    if (isScheduled || arriving.size === 0) return
    isScheduled = true
    after(CHECK_EVERY_MS, check)
  }

  return {
    /**
     * The body may come now. Calls back at most once, when it came too slowly. The returned function ends the watch, once the
     * body is complete.
     */
    watch(request: Arriving, onTooSlow: () => void): () => void {
      const { bytesRead: startBytes } = request.socket
      const arrival: Arrival = { request, startedMs: monotonicMs(), startBytes, onTooSlow, slot: 0 }
      arrival.slot = arriving.add(arrival)
      scheduleCheck()
      return () => end(arrival)
    },
  }
}
