/** Lets the store forget, now and then, what was seen longer ago than DEDUPE_HOURS. */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../log.ts'
import type { Store } from './store.ts'

/** Each time the store walks over all that was seen; a little late costs nothing but room. */
const EVERY_MS = 10 * 60_000

export function forgetSeenRegularly(options: {
  readonly store: Store
  readonly dedupeMs: number
  readonly clock: Clock
  readonly log: Log
}): { close(): void } {
  const { store, dedupeMs, clock, log } = options
  let isClosed = false
  // Soon after the start, for relays that are started again more often than this.
  let cancel = clock.after(EVERY_MS / 10, forget)

  function forget(): void {
    void store
      .forgetSeen(clock.wallMs() - dedupeMs)
      .catch((error: unknown) => {
        // A store that closes lets a walk go at its next step.
        if (!isClosed) log.error({ code: codeOf(error) }, 'store cannot forget')
      })
      .then(() => {
        if (!isClosed) cancel = clock.after(EVERY_MS, forget)
      })
  }

  return {
    close() {
      isClosed = true
      cancel()
    },
  }
}
