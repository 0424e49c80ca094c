/** When to try again, and when to give up. Pure: time and chance come in as arguments. */
export interface RetryOptions {
  /** Of one post, the first included; 1: never again. */
  readonly tries: number
  /** From the first try to the beginning of the last one. */
  readonly patienceMs: number
}

export interface Failure {
  /** `undefined`: no answer came. */
  readonly status: number | undefined
  /** What the answer asked for. */
  readonly retryAfterMs: number | undefined
  /** Tries so far. */
  readonly tried: number
  /** Since the first one began. */
  readonly elapsedMs: number
  /** From 0 to 1. */
  readonly random: number
}

/**
 * 429 and 503 took nothing. Of the others nobody knows whether the events arrived: they carry ids by which a second one
 * is recognized.
 */
const WORTH_ANOTHER_TRY: ReadonlySet<number | undefined> = new Set([undefined, 408, 429, 500, 502, 503, 504])

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 30_000

/** Milliseconds until the next try; undefined: give up. */
export function planRetry(failure: Failure, { tries, patienceMs }: RetryOptions): number | undefined {
  const { status, retryAfterMs = 0, tried, elapsedMs, random } = failure
  if (!WORTH_ANOTHER_TRY.has(status) || tried >= tries) return undefined
  // Full jitter: storefronts that failed together must not retry together.
  const backoffMs = random * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (tried - 1))
  const delayMs = Math.max(retryAfterMs, backoffMs)
  return elapsedMs + delayMs > patienceMs ? undefined : delayMs
}
