/**
 * Admission of bodies: how many bytes may be read, or wait to be parsed, at once. A large body waits unread: its sender's
 * socket is full then, and nothing of it is held here. Small bodies have a space of their own, so that none waits behind
 * large ones. An account may take half of the space for large ones and a quarter of that for small ones: a storefront whose
 * uploads stall (arrival.ts ends them) delays nobody else's. What does not fit is refused before it is read.
 */
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { TooBusy } from '../errors.ts'
import { LARGE_BYTES } from '../store/engine/work.ts'

/** Bodies of the largest size that fit at the same time: of an account, one is read while another is parsed. */
const LARGE_BODIES = 4
const LARGE_BODIES_OF_ONE = 2
const SMALL_BODIES = 8
const SMALL_BODIES_OF_ONE = 2
/** Clients give up after 10 s, as a rule: the answer should come before. */
export const LONGEST_WAIT_MS = 5000

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
  let isAdmitting = false
  let inside = 0
  let onEmptied = () => {}

  function admitWaiting(): void {
    // Who left meanwhile gives its room back as soon as it enters. Calls within calls, as deep as the line is long, would end the process.
    if (isAdmitting) return
    isAdmitting = true
    try {
      admitInOrder()
    } finally {
      isAdmitting = false
    }
  }

  /** But no account waits for another that has its share. */
  function admitInOrder(): void {
    const full = new Set<string>()
    for (const waiting of line) {
      const { adAccountId, sizeBytes } = waiting
      if (sizeBytes > large.freeBytes()) return
      if (full.has(adAccountId) || !large.take(adAccountId, sizeBytes)) full.add(adAccountId)
      else waiting.enter()
    }
  }

  function exit(): void {
    inside -= 1
    if (inside === 0) onEmptied()
  }

  return {
    /**
     * Calls back when the post's body may be read, or with TOO_BUSY; a large body may wait first. `leave` releases the space,
     * and may be called more than once.
     */
    enter(
      { headers }: Pick<FastifyRequest, 'headers'>,
      adAccountId: string,
      onEntered: (error: Error | undefined, leave?: () => void) => void,
    ): void {
      // Without a length (chunked) it may become as large as is allowed. Over the limit it is refused unread.
      const announced = Number(headers['content-length'] ?? bodyLimitBytes)
      const sizeBytes = announced <= bodyLimitBytes ? announced : 0
      const isLarge = sizeBytes >= LARGE_BYTES
      let isOver = false
      function leave(): void {
        if (isOver) return
        isOver = true
        ;(isLarge ? large : small).release(adAccountId, sizeBytes)
        if (isLarge) admitWaiting()
        exit()
      }
      function refuse(): void {
        exit()
        onEntered(new TooBusy())
      }
      inside += 1
      if (!isLarge) return small.take(adAccountId, sizeBytes) ? onEntered(undefined, leave) : refuse()
      const stopWaiting = after(LONGEST_WAIT_MS, () => {
        line.delete(waiting)
        refuse()
        // The next one may be smaller.
        admitWaiting()
      })
      const waiting: Waiting = {
        adAccountId,
        sizeBytes,
        enter() {
          stopWaiting()
          line.delete(waiting)
          onEntered(undefined, leave)
        },
      }
      line.add(waiting)
      admitWaiting()
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
