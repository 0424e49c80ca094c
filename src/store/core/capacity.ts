/**
 * Whether the store has room for a commit: none above the watermark, and per account its share. Operations that drain the queue
 * or only read need no room. How much room is left, sqlite/capacity.ts and postgres/capacity.ts measure.
 *
 * One account may queue up to SHARE_OF_FREE times what is still free: alone it gets 8/9 of the room, and what it leaves stays for
 * the others; the more accounts do not drain, the less each may queue (n of them: 8 / (8n + 1) each). So no account that does not
 * drain can take the last room from one that does. It needs two numbers and no list of accounts. (Dynamic queue thresholds, as
 * shared-memory switches divide their buffers.)
 *
 * Dead letters have a part of their own, beside the room for posts: a fixed one, since one setting then bounds all of the
 * store, and an operator who gives the store more gives it to both.
 */

/** Above this part of what the store may use commits are refused, while there is still room to drain. */
export const WATERMARK = 0.8
/** A full store takes posts again below this part; at the watermark each acknowledgement would admit one post. */
const TAKEN_AGAIN = 0.75
/** Of what the store may use, besides the room for posts. */
export const DEAD_LETTER_PART = 0.1
const SHARE_OF_FREE = 8
/** Of the room that is left: what is admitted takes about its bytes, an overhead that is not known before, and more in a log. */
const ADMITTED_UNMEASURED = 1 / 64
/** An account counts as over its share a little early: a large post did not fit before. */
const NEARLY = 7 / 8

/** What an account with so much queued may still add; both in bytes. */
export function mayQueue(queuedBytes: number, addedBytes: number, freeBytes: number): boolean {
  return queuedBytes + addedBytes <= SHARE_OF_FREE * (freeBytes - addedBytes)
}

/** An account that has more queued than this is over its share. */
export function shareOf(freeBytes: number): number {
  return Math.max(0, NEARLY * SHARE_OF_FREE * freeBytes)
}

/** `leftBelow`: bytes that commits may add until this part of the store is used, as last measured. */
export function createCapacity(leftBelow: (part: number) => number) {
  let isFull = false
  let admittedBytes = 0
  const left = () => leftBelow(WATERMARK) - admittedBytes

  return {
    get isFull(): boolean {
      return isFull
    },
    /** More was admitted since it was measured than may be guessed. */
    get isOutdated(): boolean {
      return admittedBytes > ADMITTED_UNMEASURED * leftBelow(WATERMARK)
    },
    /** The engine has measured again: what was admitted is included now. */
    refresh(): void {
      admittedBytes = 0
      isFull = leftBelow(isFull ? TAKEN_AGAIN : WATERMARK) < 0
    },
    /** Takes it out of the room that is left; `queuedBytes`: what its account has queued. */
    admits(bytes: number, queuedBytes: number): boolean {
      if (isFull || !mayQueue(queuedBytes, bytes, left())) return false
      admittedBytes += bytes
      return true
    },
    /** An account that has more queued is over its share; `Infinity` while all are refused. */
    share: () => (isFull ? Infinity : shareOf(left())),
  }
}
