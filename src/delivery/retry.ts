/** How long to wait before the next call: pure timing. */

/** A longer Retry-After is cut to this. */
const RETRY_AFTER_CAP_MS = 5 * 60_000

/**
 * A Retry-After header in milliseconds from now: whole seconds or an HTTP date (RFC 9110, 10.2.3), capped. Undefined
 * for garbage and for dates long gone, so that the caller uses its own pauses.
 */
export function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  const value = header?.trim() ?? ''
  if (/^\d+$/.test(value)) return Math.min(RETRY_AFTER_CAP_MS, Number(value) * 1000)
  // Only the fixed-length date: Date.parse alone would take almost anything for a date.
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return undefined
  const delayMs = Date.parse(value) - nowMs
  return Number.isNaN(delayMs) || delayMs < 0 ? undefined : Math.min(RETRY_AFTER_CAP_MS, delayMs)
}

const BACKOFF_BASE_MS = 500
const BACKOFF_CAP_MS = 60_000

/** The shortest pause after a 429, whatever Retry-After says. */
const RATE_LIMIT_FLOOR_MS = 1000

/** How long a queue waits after a 429: as long as Pinterest asked for, or else with a growing backoff. */
export function limitedMs(askedMs: number | undefined, failures: number, random: number): number {
  return Math.max(RATE_LIMIT_FLOOR_MS, askedMs ?? backoffMs(failures, random))
}

/**
 * How long an open breaker waits after a failure: a backoff on top of what Pinterest asked for. At most a minute of that, since one
 * event can be the cause of such answers.
 */
export function failedMs(askedMs: number | undefined, failures: number, random: number): number {
  return Math.min(BACKOFF_CAP_MS, askedMs ?? 0) + backoffMs(failures, random)
}

/**
 * Exponential backoff with full jitter: a random moment of a span that doubles with each failure, so that what failed
 * together is not retried together. `failures` counts from 1; `random` is in [0, 1).
 */
export function backoffMs(failures: number, random: number): number {
  const span = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures - 1, 16))
  return Math.ceil(span * random)
}
