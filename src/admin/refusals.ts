/**
 * Requests and logins without the admin token: counted, logged once a minute at most, and answered with 429 where wrong tokens are
 * many. The right token is compared first, however many guesses there are, so guessing locks nobody out.
 */
import { TooManyGuesses, Unauthorized } from '../errors.ts'
import { fullBucket, take } from '../limits/bucket.ts'
import type { AdminOptions } from './options.ts'

export type Refusals = ReturnType<typeof createRefusals>

/** A line a minute at most: whoever guesses must not fill the disk. */
const LINE_EVERY_MS = 60_000
/** As many typing errors, or requests of a script with an old token, are answered at once. */
const GUESSES_AT_ONCE = 20
const GUESSES_PER_MINUTE = 60
export const GUESS_AGAIN_S = 1

export function createRefusals({
  clock: { monotonicMs },
  metrics,
  log,
}: Pick<AdminOptions, 'clock' | 'metrics' | 'log'>) {
  let loggedMs = -Infinity
  let guesses = fullBucket(GUESSES_AT_ONCE, GUESSES_PER_MINUTE, monotonicMs())
  return {
    /** `isGuess`: a token was given. Answers what to throw: UNAUTHORIZED or TOO_MANY_GUESSES. */
    note(isGuess: boolean): Error {
      metrics.adminRefused.inc()
      const nowMs = monotonicMs()
      if (nowMs - loggedMs >= LINE_EVERY_MS) {
        loggedMs = nowMs
        log.warn({ status: 401 }, 'admin requests without the token')
      }
      if (!isGuess) return new Unauthorized()
      const { bucket, isTaken } = take(guesses, 1, nowMs)
      guesses = bucket
      return isTaken ? new Unauthorized() : new TooManyGuesses()
    },
  }
}
