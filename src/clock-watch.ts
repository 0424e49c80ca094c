/**
 * Whether ages can be believed: notices when the wall clock was set. Limits and pauses do not use that clock, but ages do, and
 * what expired does not come back.
 *
 *   believed ──differs from the monotonic clock by over a minute more than at the last check──> in doubt
 *   in doubt ──15 minutes without another such jump──> believed, whatever it shows
 *
 * While it is in doubt nothing expires:
 *   - a post with an event that this clock calls too old, or of the future, gets 503, to be retried; any other is taken
 *   - what waits does not become a dead letter, and no event id is forgotten; both are done later
 *   - no token is renewed because its time has come; one that Pinterest refuses is
 *   - `/readyz` stays ready: the usual jump corrects a clock, and the posts of that moment are good
 *
 * The time before the jump may have been the wrong one. So doubt ends after a quarter of an hour, in which an operator can
 * correct a wrong clock (`pinrelay_clock_in_doubt`, an alert); and not by an answer's `Date`, which any proxy may have written.
 */
import type { Clock } from './clock.ts'
import type { Log } from './telemetry/log.ts'

/** More than a clock that is being slewed, or a process that was stopped for a moment, is off between two checks. */
const JUMP_MS = 60_000
/** Long enough to notice a clock that was set wrong. */
const TRUST_AFTER_MS = 15 * 60_000

/** Answers whether ages can be believed. Ask at least once a minute: a jump is seen at the first check after it. */
export function watchClock(clock: Clock, log: Log): () => boolean {
  const offsetNow = () => clock.wallMs() - clock.monotonicMs()
  let offsetMs = offsetNow()
  let trustedFromMs = -Infinity

  return function isTrusted() {
    const jumpMs = offsetNow() - offsetMs
    offsetMs += jumpMs
    if (Math.abs(jumpMs) > JUMP_MS) {
      trustedFromMs = clock.monotonicMs() + TRUST_AFTER_MS
      log.warn({ reason: 'clock_set', delay_ms: Math.round(jumpMs) }, 'nothing expires for a while')
    }
    return clock.monotonicMs() >= trustedFromMs
  }
}
