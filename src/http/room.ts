/**
 * Room for the bodies of posts that are being read or wait to be parsed. A large body waits for room unread: its sender's
 * socket is full then, and nothing of it is held here. Small bodies have a room of their own, so that none waits behind
 * large ones. Who finds no room is refused before the body is read.
 */
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { TooBusy } from '../errors.ts'

export interface Room {
  /**
   * Calls back when there is room for the post's body, or with TOO_BUSY; a large body waits for some time before. The
   * answer gives the room back, or the place in the line, and may be called more than once.
   */
  enter(request: Pick<FastifyRequest, 'headers'>, onEntered: (error?: Error) => void): () => void
}

/** What is larger, some 80 events, is parsed one by one, see `turns.ts`. */
export const LARGE_BYTES = 64 * 1024
/** Bodies of the largest size that fit at the same time: one is read while another is parsed. */
const LARGE_BODIES = 2
const SMALL_BODIES = 8
/** Clients give up after 10 s, as a rule: they should still hear of it. */
const LONGEST_WAIT_MS = 5000

export function createRoom(bodyLimitBytes: number, { after }: Pick<Clock, 'after'>): Room {
  let smallFreeBytes = SMALL_BODIES * bodyLimitBytes
  let largeFreeBytes = LARGE_BODIES * bodyLimitBytes
  const line = new Set<Waiting>()

  function admitWaiting(): void {
    for (const waiting of line) {
      if (waiting.sizeBytes > largeFreeBytes) return
      line.delete(waiting)
      largeFreeBytes -= waiting.sizeBytes
      waiting.enter()
    }
  }

  function enterSmall(sizeBytes: number, onEntered: (error?: Error) => void): () => void {
    if (sizeBytes > smallFreeBytes) {
      onEntered(new TooBusy())
      return () => {}
    }
    smallFreeBytes -= sizeBytes
    onEntered()
    return once(() => {
      smallFreeBytes += sizeBytes
    })
  }

  function enterLarge(sizeBytes: number, onEntered: (error?: Error) => void): () => void {
    let isInside = false
    const waiting: Waiting = {
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
      if (isInside) largeFreeBytes += sizeBytes
      admitWaiting()
    })
  }

  return {
    enter({ headers }, onEntered) {
      // Without a length (chunked) it may become as large as is allowed. Over the limit it is refused unread.
      const announced = Number(headers['content-length'] ?? bodyLimitBytes)
      const sizeBytes = announced <= bodyLimitBytes ? announced : 0
      return sizeBytes < LARGE_BYTES ? enterSmall(sizeBytes, onEntered) : enterLarge(sizeBytes, onEntered)
    },
  }
}

interface Waiting {
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
