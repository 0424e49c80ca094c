/**
 * Whether the store has room for a commit: none above the watermark, and per account its share (share.ts). What drains the
 * queue, or only reads, is never asked. How much room is left is what the engines measure.
 */
import { mayQueue, shareOf, TAKEN_AGAIN, WATERMARK } from './share.ts'

export interface Capacity {
  readonly isFull: boolean
  /** What was admitted is in the measure now. */
  look(): void
  /** Takes it out of the room that is left; `queuedBytes`: what its account has queued. */
  admits(bytes: number, queuedBytes: number): boolean
  /** The same of several accounts, which an operator answers for. */
  admitsAny(bytes: number): boolean
  /** An account that has more queued is over its share; `Infinity` while all are refused. */
  share(): number
}

/** `leftBelow`: bytes that commits may still bring until this part of the store is used, as of the last look. */
export function createCapacity(leftBelow: (part: number) => number): Capacity {
  let isFull = false
  let admittedBytes = 0
  const left = () => leftBelow(WATERMARK) - admittedBytes

  function admit(bytes: number, fits: boolean): boolean {
    if (isFull || !fits) return false
    admittedBytes += bytes
    return true
  }

  return {
    get isFull() {
      return isFull
    },
    look() {
      admittedBytes = 0
      isFull = leftBelow(isFull ? TAKEN_AGAIN : WATERMARK) < 0
    },
    admits: (bytes, queuedBytes) => admit(bytes, mayQueue(queuedBytes, bytes, left())),
    admitsAny: (bytes) => admit(bytes, bytes <= left()),
    share: () => (isFull ? Infinity : shareOf(left())),
  }
}
