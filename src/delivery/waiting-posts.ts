/**
 * Posts that wait for the outcomes of their batch. A batch may be released to the store while its post waits;
 * it is found again here by its id.
 *
 * The waits that end in one turn of the loop resume together after it, so that their answers are written back to back: a tenth less
 * CPU per post where each post is a call (100 accounts).
 */
import { setImmediate as runAfterTurn } from 'node:timers'
import type { Clock } from '../clock.ts'
import { createSlots } from '../slots.ts'
import type { Batch } from './batch.ts'

export type WaitingPosts = ReturnType<typeof createWaitingPosts>

export function createWaitingPosts(clock: Clock) {
  const batches = createSlots<Batch>()
  let areOver = false
  const ended: (() => void)[] = []

  function resolveAfterTurn(resolve: () => void): void {
    if (ended.push(resolve) > 1) return
    runAfterTurn(() => {
      for (const end of ended.splice(0)) end()
    })
  }

  return {
    /** Resolves when the batch's `endWait` is called, after `waitMs`, or when all waits end. */
    async waitFor(batch: Batch, waitMs: number): Promise<void> {
      if (areOver || waitMs <= 0) return
      const { promise, resolve } = Promise.withResolvers<void>()
      const cancel = clock.after(waitMs, () => batch.endWait?.())
      const slot = batches.add(batch)
      batch.endWait = () => {
        batch.endWait = undefined
        batches.take(slot)
        cancel()
        resolveAfterTurn(resolve)
      }
      await promise
    },
    byId: (): ReadonlyMap<number, Batch> => new Map(Array.from(batches, (batch) => [batch.batchId, batch])),
    /** Now and from now on. */
    endAll(): void {
      areOver = true
      for (const { endWait } of batches) endWait?.()
    },
  }
}
