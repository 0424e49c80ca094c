/**
 * Posts that wait for the outcomes of their batch. A batch may leave memory while its post waits (its bytes go back
 * to the store); it is found again here by its id.
 */
import type { Clock } from '../clock.ts'
import type { Batch } from './batch.ts'

export interface WaitingPosts {
  /** Resolves when `done` is called for the batch, after `waitMs`, or when all waits end. */
  waitFor(batch: Batch, waitMs: number): Promise<void>
  /** The batch that a post waits for. */
  find(batchId: number): Batch | undefined
  done(batchId: number): void
  /** Ends every wait, now and from now on. */
  endAll(): void
}

export function createWaitingPosts(clock: Clock): WaitingPosts {
  const waitingPosts = new Map<number, { readonly batch: Batch; readonly end: () => void }>()
  let areOver = false
  return {
    waitFor(batch, waitMs) {
      if (areOver || waitMs <= 0) return Promise.resolve()
      return new Promise((resolve) => {
        const end = () => {
          batch.isAwaited = false
          waitingPosts.delete(batch.batchId)
          cancel()
          resolve()
        }
        const cancel = clock.after(waitMs, end)
        batch.isAwaited = true
        waitingPosts.set(batch.batchId, { batch, end })
      })
    },
    find: (batchId) => waitingPosts.get(batchId)?.batch,
    done: (batchId) => waitingPosts.get(batchId)?.end(),
    endAll() {
      areOver = true
      for (const { end } of waitingPosts.values()) end()
    },
  }
}
