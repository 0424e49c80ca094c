/**
 * Requests and logins without the admin token: counted, logged once a minute at most, and wrong tokens slowed. Only answers to
 * wrong ones wait: the right token is compared at once, however many guesses there are, so guessing locks nobody out.
 */
import type { Clock } from '../clock.ts'
import { TooManyGuesses } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export type Refusals = ReturnType<typeof createRefusals>

const LINE_EVERY_MS = 60_000
/** As many typing errors, or requests of a script with an old token, are answered at once. */
const GUESSES_AT_ONCE = 20
const GUESS_EVERY_MS = 1000
/** What would wait longer is answered at once: few sockets are held. */
export const LONGEST_DELAY_MS = 10_000

export function createRefusals({
  clock: { monotonicMs, after },
  metrics,
  log,
}: {
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>
  readonly metrics: { readonly adminRefused: Pick<Metrics['adminRefused'], 'inc'> }
  readonly log: Pick<Log, 'warn'>
}) {
  // A line a minute at most: whoever guesses must not fill the disk.
  let loggedMs = -Infinity
  /** When the last guess is answered, or would have been at this rate. */
  let answeredMs = -Infinity

  function delayOfGuess(): number | undefined {
    const nowMs = monotonicMs()
    const nextMs = Math.max(answeredMs, nowMs - GUESSES_AT_ONCE * GUESS_EVERY_MS) + GUESS_EVERY_MS
    if (nextMs - nowMs > LONGEST_DELAY_MS) return undefined
    answeredMs = nextMs
    return Math.max(0, nextMs - nowMs)
  }

  return {
    /** Resolves when the refusal may be answered. `isGuess`: a token was given. Rejects with TOO_MANY_GUESSES. */
    async note(isGuess: boolean): Promise<void> {
      metrics.adminRefused.inc()
      const nowMs = monotonicMs()
      if (nowMs - loggedMs >= LINE_EVERY_MS) {
        loggedMs = nowMs
        log.warn({ status: 401 }, 'admin requests without the token')
      }
      if (!isGuess) return
      const delayMs = delayOfGuess()
      if (delayMs === undefined) throw new TooManyGuesses()
      if (delayMs > 0) await new Promise<void>((resolve) => void after(delayMs, resolve))
    },
  }
}
