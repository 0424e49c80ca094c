/**
 * Whether the store has room for a commit: none above the watermark, and per account its share (share.ts). Operations
 * that drain the queue or only read need no room. The engines measure how much room is left.
 */
import { mayQueue, shareOf, TAKEN_AGAIN, WATERMARK } from './share.ts'

export interface Capacity {
  readonly isFull: boolean
  /** The engine has measured again: what was admitted is included now. */
  look(): void
  /** Takes it out of the room that is left; `queuedBytes`: what its account has queued. */
  admits(bytes: number, queuedBytes: number): boolean
  /** For batches of several accounts, which an operator recovers. */
  admitsAny(bytes: number): boolean
  /** An account that has more queued is over its share; `Infinity` while all are refused. */
  share(): number
}

/** `leftBelow`: bytes that commits may add until this part of the store is used, as last measured. */
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
