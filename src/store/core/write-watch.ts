/**
 * Whether writes get through. A store on a full disk, on one that fails its writes, or on a server that has become read
 * only or whose synchronous standby is absent still answers reads. After a failed write that is not the operation's own
 * fault, each read of the size begins a probe that writes as much as a large post, until one is committed. So a relay that is not
 * ready, and gets no posts, becomes ready by itself.
 *
 *   writable ──a write fails──> full | stuck ──a probe is committed──> writable
 */
import { randomBytes } from 'node:crypto'
import type { StoreSize } from '../store.ts'
import { addAudit } from './audit.ts'
import { query, type Steps } from './sql.ts'

export type WriteProblem = 'full' | 'stuck'

/** More than the last page of a table may still hold. */
const PROBE_BYTES = 64 * 1024

/** Writes as much as a large post, in a transaction that ends with it. Random: what compresses needs no room. */
export function* probeWrite(): Steps<void> {
  const details = { probe: randomBytes(PROBE_BYTES / 2).toString('hex') }
  const id = yield* addAudit({ atMs: 0, action: 'probe', details })
  yield* query('DELETE FROM audit WHERE id = $1', [id])
}

export interface WriteWatchOptions {
  /** What an error says of the next write. Undefined where it may succeed, or where the size shows the problem. */
  readonly judge: (error: unknown) => WriteProblem | undefined
  readonly probe: () => Promise<void>
}

export function createWriteWatch({ judge, probe }: WriteWatchOptions) {
  /** A new object with each failure: a probe says nothing of those that came after its beginning. */
  let last: { readonly problem: WriteProblem } | undefined
  let probing: Promise<void> | undefined

  return {
    /** Called with the reason of each failed write; most reasons do not matter. */
    failed(this: void, error: unknown): void {
      const problem = judge(error)
      if (problem !== undefined) last = { problem }
    },
    /** Adds to the size what is known of writes. Begins the next probe. */
    async size(readSize: () => Promise<Omit<StoreSize, 'isWritable'>>): Promise<StoreSize> {
      const found = last
      if (found !== undefined) {
        probing ??= probe()
          .then(
            () => {
              if (last === found) last = undefined
            },
            () => undefined,
          )
          .finally(() => (probing = undefined))
      }
      const size = await readSize()
      return {
        ...size,
        isFull: size.isFull || found?.problem === 'full',
        isWritable: found?.problem !== 'stuck',
      }
    },
  }
}
