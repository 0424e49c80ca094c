/**
 * Whether writes get through. A store on a full disk, on one that fails its writes, or on a server that has become read
 * only or whose synchronous standby is absent still answers reads, and would seem well. A failed write that is not the
 * operation's own fault is noted; from then on a probe writes as much as a post may, once per look, until it is
 * committed. So a relay that gets no posts, since it is not ready, finds out by itself.
 *
 *   writable ──a write fails──> full | stuck ──a probe is committed──> writable
 */
import { codeOf } from '../../telemetry/log.ts'
import type { StoreSize } from '../store.ts'

export type WriteProblem = 'full' | 'stuck'

export interface WriteWatch {
  /** Told why a write failed; most reasons are none. */
  readonly failed: (error: unknown) => void
  /** The size as the store's files or tables have it, and what is known of writes. Begins the next probe. */
  size(readSize: () => Promise<Omit<StoreSize, 'isWritable'>>): Promise<StoreSize>
}

/** As large as a post may well be: the last page of a table may have room for less. */
export const PROBE_BYTES = 64 * 1024

export interface WriteWatchOptions {
  /** By an error's code. Undefined where the next write may well succeed, or where the store's size tells by itself. */
  readonly judge: (code: string) => WriteProblem | undefined
  readonly probe: () => Promise<void>
}

export function createWriteWatch({ judge, probe }: WriteWatchOptions): WriteWatch {
  let problem: WriteProblem | undefined
  let probing: Promise<void> | undefined

  return {
    failed: (error) => void (problem = judge(codeOf(error)) ?? problem),
    async size(readSize) {
      const found = problem
      if (found !== undefined) {
        probing ??= probe()
          .then(
            () => void (problem = undefined),
            () => undefined,
          )
          .finally(() => (probing = undefined))
      }
      const size = await readSize()
      return { ...size, isFull: size.isFull || found === 'full', isWritable: found !== 'stuck' }
    },
  }
}
