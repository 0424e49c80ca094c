/**
 * Admission for the bodies of posts that are being read or wait to be parsed. A large body waits for room unread: its sender's
 * socket is full then, and nothing of it is held here. Small bodies have a room of their own, so that none waits behind
 * large ones. An account may take half of the room for large ones and a quarter of that for small ones: a storefront whose
 * uploads stand still (`arrival.ts` ends them) holds up nobody else's. Who finds no room is refused before the body is read.
 */
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { TooBusy } from '../errors.ts'

export interface Admission {
  /**
   * Calls back when there is room for the post's body, or with TOO_BUSY; a large body waits for some time before. The
   * answer gives the room back, or the place in the line, and may be called more than once.
   */
  enter(
    request: Pick<FastifyRequest, 'headers'>,
    adAccountId: string,
    onEntered: (error?: Error) => void,
  ): () => void
}

/** What is larger, some 80 events, is parsed one by one, see `turns.ts`. */
export const LARGE_BYTES = 64 * 1024
/** Bodies of the largest size that fit at the same time: of an account, one is read while another is parsed. */
const LARGE_BODIES = 4
const LARGE_BODIES_OF_ONE = 2
const SMALL_BODIES = 8
const SMALL_BODIES_OF_ONE = 2
/** Clients give up after 10 s, as a rule: they should still hear of it. */
const LONGEST_WAIT_MS = 5000

export function createAdmission(bodyLimitBytes: number, { after }: Pick<Clock, 'after'>): Admission {
  const small = createSpace(SMALL_BODIES * bodyLimitBytes, SMALL_BODIES_OF_ONE * bodyLimitBytes)
  const large = createSpace(LARGE_BODIES * bodyLimitBytes, LARGE_BODIES_OF_ONE * bodyLimitBytes)
  const line = new Set<Waiting>()

  /** In their order, but nobody waits behind another account that has its share. */
  function admitWaiting(): void {
    const full = new Set<string>()
    for (const waiting of line) {
      const { adAccountId, sizeBytes } = waiting
      if (sizeBytes > large.freeBytes()) return
      if (!large.isInShare(adAccountId, sizeBytes)) full.add(adAccountId)
      if (full.has(adAccountId)) continue
      line.delete(waiting)
      large.take(adAccountId, sizeBytes)
      waiting.enter()
    }
  }

  function enterSmall(
    adAccountId: string,
    sizeBytes: number,
    onEntered: (error?: Error) => void,
  ): () => void {
    if (sizeBytes > small.freeBytes() || !small.isInShare(adAccountId, sizeBytes)) {
      onEntered(new TooBusy())
      return () => {}
    }
    small.take(adAccountId, sizeBytes)
    onEntered()
    return once(() => small.giveBack(adAccountId, sizeBytes))
  }

  function enterLarge(
    adAccountId: string,
    sizeBytes: number,
    onEntered: (error?: Error) => void,
  ): () => void {
    let isInside = false
    const waiting: Waiting = {
      adAccountId,
      sizeBytes,
      enter() {
        isInside = true
        stopWaiting()
        onEntered()
      },
    }
    const stopWaiting = after(LONGEST_WAIT_MS, () => {
      line.delete(waiting)
      // The next one may be smaller.
      admitWaiting()
      onEntered(new TooBusy())
    })
    line.add(waiting)
    admitWaiting()
    return once(() => {
      stopWaiting()
      line.delete(waiting)
      if (isInside) large.giveBack(adAccountId, sizeBytes)
      admitWaiting()
    })
  }

  return {
    enter({ headers }, adAccountId, onEntered) {
      // Without a length (chunked) it may become as large as is allowed. Over the limit it is refused unread.
      const announced = Number(headers['content-length'] ?? bodyLimitBytes)
      const sizeBytes = announced <= bodyLimitBytes ? announced : 0
      return sizeBytes < LARGE_BYTES
        ? enterSmall(adAccountId, sizeBytes, onEntered)
        : enterLarge(adAccountId, sizeBytes, onEntered)
    },
  }
}

/** So many bytes, of which an account may take its share. */
function createSpace(totalBytes: number, shareBytes: number) {
  let freeBytes = totalBytes
  /** Of the accounts that have something inside. */
  const takenBytesOf = new Map<string, number>()
  const takenBytes = (adAccountId: string) => takenBytesOf.get(adAccountId) ?? 0
  return {
    freeBytes: () => freeBytes,
    isInShare: (adAccountId: string, sizeBytes: number) => takenBytes(adAccountId) + sizeBytes <= shareBytes,
    take(adAccountId: string, sizeBytes: number): void {
      freeBytes -= sizeBytes
      takenBytesOf.set(adAccountId, takenBytes(adAccountId) + sizeBytes)
    },
    giveBack(adAccountId: string, sizeBytes: number): void {
      freeBytes += sizeBytes
      const leftBytes = takenBytes(adAccountId) - sizeBytes
      if (leftBytes > 0) takenBytesOf.set(adAccountId, leftBytes)
      else takenBytesOf.delete(adAccountId)
    },
  }
}

interface Waiting {
  readonly adAccountId: string
  readonly sizeBytes: number
  readonly enter: () => void
}

function once(run: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    run()
  }
}
