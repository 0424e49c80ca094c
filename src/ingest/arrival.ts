/**
 * Ends posts whose body comes too slowly: it holds room in admission as long as it takes. After a grace of some seconds
 * it must have come at a lowest rate; what is below is asked about once a second.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'

/** What is looked at of a request. `bytesRead` counts its head, too, which does no harm. */
export type Arriving = Pick<IncomingMessage, 'complete' | 'destroyed'> & {
  readonly socket: { readonly bytesRead: number }
}

export interface Arrivals {
  /** The body may come now. Calls back at most once, when it came too slowly. */
  watch(request: Arriving, onTooSlow: () => void): void
  /** It is there, or nobody waits for it any more. */
  forget(request: Arriving): void
}

const LOOK_EVERY_MS = 1000
const GRACE_MS = 5000
/** A 60 KB body has 9 s at most; one of 8 MiB must be faster anyway to come within the time limit of a request. */
export const LOWEST_BYTES_PER_S = 16 * 1024

export function createArrivals({ monotonicMs, after }: Pick<Clock, 'monotonicMs' | 'after'>): Arrivals {
  const arriving = new Map<Arriving, { startedMs: number; startBytes: number; onTooSlow: () => void }>()
  let isLooking = false

  function look(): void {
    const nowMs = monotonicMs()
    for (const [request, { startedMs, startBytes, onTooSlow }] of arriving) {
      const dueBytes = ((nowMs - startedMs - GRACE_MS) / 1000) * LOWEST_BYTES_PER_S
      const isOver = request.complete || request.destroyed
      if (!isOver && request.socket.bytesRead - startBytes >= dueBytes) continue
      arriving.delete(request)
      if (!isOver) onTooSlow()
    }
    isLooking = false
    lookLater()
  }

  function lookLater(): void {
    if (isLooking || arriving.size === 0) return
    isLooking = true
    after(LOOK_EVERY_MS, look)
  }

  return {
    watch(request, onTooSlow) {
      arriving.set(request, { startedMs: monotonicMs(), startBytes: request.socket.bytesRead, onTooSlow })
      lookLater()
    },
    forget: (request) => void arriving.delete(request),
  }
}
