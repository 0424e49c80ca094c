/**
 * The arithmetic of every limit in the relay: one token bucket, as a value.
 *
 * A bucket of capacity C refilled at R per minute lets at most C + R through in any 60 seconds. All of it is whole
 * numbers (levels in 1/60,000 of a token, so that a millisecond refills exactly R of them): nothing drifts, however
 * long it runs. Time comes from the caller's monotonic clock; a clock that steps back adds nothing, then or later.
 */
export interface Bucket {
  /** Tokens it holds at most; at least 1 for anything to pass. */
  readonly capacity: number
  readonly refillPerMinute: number
  /** In 1/60,000 of a token. */
  readonly level: number
  /** The moment for which `level` holds, in whole milliseconds. */
  readonly atMs: number
}

export interface Taken {
  readonly bucket: Bucket
  readonly isTaken: boolean
  /** 0 when taken, or else the milliseconds until `n` tokens are there if nobody else takes any; at least 1. */
  readonly waitMs: number
}

/** One token, in the units of `Bucket.level`: with these, R tokens a minute are R units a millisecond. */
export const TOKEN = 60_000

export function fullBucket(capacity: number, refillPerMinute: number, nowMs: number): Bucket {
  return { capacity, refillPerMinute, level: capacity * TOKEN, atMs: Math.floor(nowMs) }
}

/** How a bucket of unknown history begins that must never over-admit. */
export function emptyBucket(capacity: number, refillPerMinute: number, nowMs: number): Bucket {
  return { capacity, refillPerMinute, level: 0, atMs: Math.floor(nowMs) }
}

/** Takes `n` tokens, or none; gives some back where it is negative. */
export function take(bucket: Bucket, n: number, nowMs: number): Taken {
  const refilled = refill(bucket, nowMs)
  const missing = n * TOKEN - refilled.level
  if (missing <= 0) {
    return { bucket: { ...refilled, level: refilled.level - n * TOKEN }, isTaken: true, waitMs: 0 }
  }
  const { refillPerMinute } = bucket
  return {
    bucket: refilled,
    isTaken: false,
    waitMs: refillPerMinute > 0 ? Math.max(1, Math.ceil(missing / refillPerMinute)) : Infinity,
  }
}

/** The bucket as it is at `nowMs`. */
export function refill(bucket: Bucket, nowMs: number): Bucket {
  const atMs = Math.max(bucket.atMs, Math.floor(nowMs))
  const gained = (atMs - bucket.atMs) * bucket.refillPerMinute
  return { ...bucket, level: Math.min(bucket.capacity * TOKEN, bucket.level + gained), atMs }
}

/** Whole tokens that could be taken now. */
export function tokensIn(bucket: Bucket, nowMs: number): number {
  return Math.floor(refill(bucket, nowMs).level / TOKEN)
}

/** Milliseconds until the bucket is full. */
export function msUntilFull(bucket: Bucket): number {
  const missing = bucket.capacity * TOKEN - bucket.level
  return missing <= 0 ? 0 : Math.ceil(missing / bucket.refillPerMinute)
}
