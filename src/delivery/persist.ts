/** Writes to the store that must not be given up: a outcome that is not written means a second call after a restart. */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../telemetry/log.ts'

export interface PersistOptions {
  readonly clock: Clock
  readonly log: Log
  /** Once it answers true, a failure is final: what the store holds is tried again after the next start. */
  readonly isClosing: () => boolean
}

export type Persist = (phrase: string, write: () => Promise<void>) => Promise<boolean>

const RETRY_MS = 1000

/** Tries until it works or cannot work, and answers whether it did. Never rejects. */
export function createPersist({ clock, log, isClosing }: PersistOptions): Persist {
  return async (phrase, write) => {
    for (;;) {
      try {
        await write()
        return true
      } catch (error) {
        const code = codeOf(error)
        log.error({ code }, phrase)
        // Any other error would come again: the operation itself is at fault, and its batch stays in the store.
        if (isClosing() || code !== 'STORE_UNAVAILABLE') return false
        await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve))
      }
    }
  }
}
