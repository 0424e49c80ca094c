/**
 * Whether writes get through. A store on a full disk, on one that fails its writes, or on a server that has become read
 * only or whose synchronous standby is absent still answers reads. After a failed write that is not the operation's own
 * fault, each read of the size begins a probe that writes as much as a large post, until one is committed. So a relay that is not
 * ready, and gets no posts, becomes ready by itself.
 *
 *   writable ──a write fails──> full | stuck ──a probe is committed──> writable
 */
import { codeOf } from '../../errors.ts'
import type { StoreSize } from '../store.ts'
import type { BatchRow } from './rows.ts'
import { insert, query, type Steps } from './sql.ts'

export type WriteProblem = 'full' | 'stuck'

export interface WriteWatch {
  /** Called with the reason of each failed write; most reasons do not matter. */
  readonly failed: (error: unknown) => void
  /** Adds to the size what is known of writes. Begins the next probe. */
  size(readSize: () => Promise<Omit<StoreSize, 'isWritable'>>): Promise<StoreSize>
}

/** More than the last page of a table may still hold. */
const PROBE_BYTES = 64 * 1024

/** Writes as much as a large post, in a transaction that ends with it. No batch has this id. */
export function* probeWrite(batchId: number): Steps<void> {
  const row: BatchRow = {
    batch_id: batchId,
    ad_account_id: '',
    is_test: true,
    is_replay: false,
    oldest_event_time_s: 0,
    size_bytes: 0,
    event_count: 0,
    pending_count: 0,
    attempts: 0,
    received_at_ms: 0,
    acknowledged: null,
    history: null,
    sealed: Buffer.alloc(PROBE_BYTES),
  }
  yield* insert('batches', [row])
  yield* query('DELETE FROM batches WHERE batch_id = $1', [batchId])
}

export interface WriteWatchOptions {
  /** What an error's code says of the next write. Undefined where it may succeed, or where the size shows the problem. */
  readonly judge: (code: string) => WriteProblem | undefined
  readonly probe: () => Promise<void>
}

export function createWriteWatch({ judge, probe }: WriteWatchOptions): WriteWatch {
  /** A new object with each failure: a probe says nothing of those that came after its beginning. */
  let last: { readonly problem: WriteProblem } | undefined
  let probing: Promise<void> | undefined

  return {
    failed(error) {
      const problem = judge(codeOf(error))
      if (problem !== undefined) last = { problem }
    },
    async size(readSize) {
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
