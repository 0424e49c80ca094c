/**
 * Notices when the wall clock was set. Nothing of a relay's limits and waits hangs on that clock, but what is too old does:
 * events that expire, and event ids that are forgotten. A clock that stands a week ahead for a minute must not make dead
 * letters of a queue, so nothing is given up for its age until the clock has gone evenly for a while.
 */
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'

/** More than a clock that is being slewed, or a process that was stopped for a moment, is off between two looks. */
const JUMP_MS = 60_000
/** Long enough for whoever set the clock wrong to notice. */
const TRUST_AFTER_MS = 15 * 60_000

/** Answers whether ages can be believed. Ask at least once a minute: a jump is seen at the first look after it. */
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
