/**
 * When a grant is refreshed: pure, `random` is in [0, 1). A token's life is in milliseconds since the epoch; a pause is
 * counted on the clock that nobody can set.
 */
import type { Grant } from './records.ts'

/** Of an access token's life: early enough for weeks of failures (30 days leave six), late enough to be rare. */
const REFRESH_AT = 4 / 5
/** So that a hundred grants of one afternoon are not refreshed in one minute. */
const JITTER = 1 / 50

const FIRST_RETRY_MS = 5000
const LONGEST_RETRY_MS = 15 * 60_000
/** A refusal is for a person to mend, but may have been Pinterest's own mistake: it is asked again now and then. */
const REFUSED_RETRY_MS = 3600_000

/** -Infinity: whatever the clock says, as soon as no pause forbids it. */
export function firstDueAtMs(
  grant: Pick<Grant, 'issuedAtMs' | 'expiresAtMs' | 'refusedAtMs' | 'askedAtMs'>,
  random: number,
): number {
  // Asked: a process died, or a disk failed, between the question and the answer. Find out at once what is still good.
  if (grant.refusedAtMs !== undefined || grant.askedAtMs !== undefined) return -Infinity
  const lifeMs = grant.expiresAtMs - grant.issuedAtMs
  return grant.issuedAtMs + lifeMs * (REFRESH_AT - JITTER * random)
}

export function afterRefusalMs(nowMs: number, random: number): number {
  return nowMs + REFUSED_RETRY_MS * (0.75 + random / 2)
}

/** `failures`: how many there were in a row, from 1. */
export function afterFailureMs(nowMs: number, failures: number, random: number): number {
  const pauseMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20))
  return nowMs + pauseMs * (0.5 + random / 2)
}
