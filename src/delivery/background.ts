/** Promises that are not awaited where they begin: `close` awaits them here. */
import { codeOf, type Log } from '../telemetry/log.ts'

export interface Background {
  /** `work` must never reject. */
  add(work: Promise<void>): void
  /**
   * A write that the store retries until it is done (store.ts). Answers false where the write itself is at fault, or the
   * store is closed or broken. Never rejects.
   */
  persist(phrase: string, write: () => Promise<void>): Promise<boolean>
  /** Resolves when nothing runs, including work that was added meanwhile. */
  close(): Promise<void>
}

export function createBackground({ log }: { readonly log: Log }): Background {
  const works = new Set<Promise<void>>()
  return {
    add(work) {
      works.add(work)
      void work.finally(() => works.delete(work))
    },
    async persist(phrase, write) {
      try {
        await write()
        return true
      } catch (error) {
        log.error({ code: codeOf(error) }, phrase)
        return false
      }
    },
    async close() {
      while (works.size > 0) await Promise.all(works)
    },
  }
}
