/** Promises that are not awaited where they begin: `close` awaits them here. */
import { codeOf } from '../errors.ts'
import { createSlots } from '../slots.ts'
import type { Log } from '../telemetry/log.ts'

export type Background = ReturnType<typeof createBackground>

export function createBackground({ log }: { readonly log: Log }) {
  const works = createSlots<Promise<void>>()
  return {
    /** `work` must never reject. */
    add(work: Promise<void>): void {
      const slot = works.add(work)
      void work.then(() => works.take(slot))
    },
    /**
     * A write that the store retries until it is done (store.ts). Answers false where the write itself is at fault, or the
     * store is closed or broken. Never rejects.
     */
    async persist(phrase: string, write: () => Promise<void>): Promise<boolean> {
      try {
        await write()
        return true
      } catch (error) {
        log.error({ code: codeOf(error) }, phrase)
        return false
      }
    },
    /** Resolves when nothing runs, including work that was added meanwhile. */
    async close(): Promise<void> {
      while (works.size > 0) await Promise.all(works)
    },
  }
}
