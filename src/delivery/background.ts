/** Work that nobody awaits where it begins: whoever closes waits for it here. */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../telemetry/log.ts'

export interface Background {
  /** `work` must never reject. */
  add(work: Promise<void>): void
  /**
   * A write to the store that must not be given up: an outcome that is not written means a second call after a restart.
   * Tries until it works or cannot work, and answers whether it did. Never rejects.
   */
  persist(phrase: string, write: () => Promise<void>): Promise<boolean>
  /** From now on a failed write is final. Resolves when nothing runs, work that was added meanwhile included. */
  close(): Promise<void>
}

const RETRY_MS = 1000

export function createBackground({ clock, log }: { readonly clock: Clock; readonly log: Log }): Background {
  const works = new Set<Promise<void>>()
  let isClosing = false
  return {
    add(work) {
      works.add(work)
      void work.finally(() => works.delete(work))
    },
    async persist(phrase, write) {
      for (;;) {
        try {
          await write()
          return true
        } catch (error) {
          const code = codeOf(error)
          log.error({ code }, phrase)
          // Any other error would come again: the operation itself is at fault, and its batch stays in the store.
          if (isClosing || code !== 'STORE_UNAVAILABLE') return false
          await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve))
        }
      }
    },
    async close() {
      isClosing = true
      while (works.size > 0) await Promise.all(works)
    },
  }
}
