/**
 * Large posts are prepared one after the other, and would each have a transaction, a sync of the disk and a call of its own. So they
 * wait for each other, until these are enough bytes (some milliseconds' work) or no large post is being prepared: not for long, since
 * others' posts may be huge, or invalid one and all.
 */
import type { Clock } from '../../clock.ts'

const GATHERED_BYTES = 512 * 1024
const GATHERING_MS = 50

export function createGathering(after: Clock['after']) {
  /** Large posts that are being prepared. */
  let expected = 0
  /** Of those that wait. */
  let bytes = 0
  let gathered = Promise.withResolvers<void>()
  let cancel = () => {}

  function leave(): void {
    cancel()
    bytes = 0
    gathered.resolve()
    gathered = Promise.withResolvers()
  }

  return {
    /** Ends as `preparing` does. */
    async expect<T>(preparing: Promise<T>): Promise<T> {
      expected += 1
      try {
        return await preparing
      } finally {
        expected -= 1
        if (expected === 0) leave()
      }
    },
    /** Resolves when the post, of so many bytes, is to be committed. */
    async join(more: number): Promise<void> {
      const { promise } = gathered
      bytes += more
      if (expected === 0 || bytes >= GATHERED_BYTES) leave()
      else if (bytes === more) cancel = after(GATHERING_MS, leave)
      await promise
    },
  }
}
