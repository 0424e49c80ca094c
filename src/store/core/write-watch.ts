/**
 * Whether writes get through. A store on a full disk, on one that fails its writes, or on a server that has become read
 * only or whose synchronous standby is absent still answers reads, and would seem well. A failed write that is not the
 * operation's own fault is noted; from then on a probe writes as much as a post may, once per look, until it is
 * committed. So a relay that gets no posts, since it is not ready, finds out by itself.
 *
 *   writable ──a write fails──> full | stuck ──a probe is committed──> writable
 */
import type { StoreSize } from '../store.ts'

export type WriteProblem = 'full' | 'stuck'

export interface WriteWatch<Failure> {
  /** Told why a write failed; most reasons are none. */
  readonly failed: (failure: Failure) => void
  probeWith(probe: () => Promise<void>): void
  /** What is known now. Begins the next probe where something is wrong. */
  problem(): WriteProblem | undefined
}

/** As large as a post may well be: the last page of a table may have room for less. */
export const PROBE_BYTES = 64 * 1024

/** `judge`: undefined where the next write may well succeed, or where the store's size tells by itself. */
export function createWriteWatch<Failure>(
  judge: (failure: Failure) => WriteProblem | undefined,
): WriteWatch<Failure> {
  let problem: WriteProblem | undefined
  let probe: (() => Promise<void>) | undefined
  let probing: Promise<void> | undefined

  return {
    failed: (failure) => void (problem = judge(failure) ?? problem),
    probeWith: (given) => void (probe = given),
    problem() {
      if (problem !== undefined) {
        // A probe that fails is told like every other write.
        probing ??= probe?.()
          .then(
            () => void (problem = undefined),
            () => undefined,
          )
          .finally(() => (probing = undefined))
      }
      return problem
    },
  }
}

/** The size as the store's files or tables have it, and what is known of writes. */
export async function withWriteProblem<Failure>(
  writes: WriteWatch<Failure>,
  readSize: () => Promise<Omit<StoreSize, 'isWritable'>>,
): Promise<StoreSize> {
  const problem = writes.problem()
  const size = await readSize()
  return { ...size, isFull: size.isFull || problem === 'full', isWritable: problem !== 'stuck' }
}
