/** Batch ids, taken from the sequence in blocks: most transactions need no look at it. */
import type { Operation, RequestOf } from '../engine/protocol.ts'
import type { Queryable } from './client.ts'

export interface BatchIds {
  /** Sees to it that there are enough for these. */
  reserve(client: Queryable, operations: readonly Operation[]): Promise<void>
  next(): number
  /** A primary that took over need not know that these were given out. */
  forget(): void
}

const BLOCK_IDS = 1024

export function createBatchIds(): BatchIds {
  let ids: number[] = []
  return {
    async reserve(client, operations) {
      const needed = operations.reduce((sum, { kind, request }) => {
        if (kind === 'commit') return sum + 1
        return kind === 'replay' ? sum + (request as RequestOf<'replay'>).limit : sum
      }, 0)
      const missing = needed - ids.length
      if (missing <= 0) return
      const { rows } = await client.query<{ block: number }>(
        "SELECT nextval('batch_blocks') AS block FROM generate_series(1, $1)",
        [Math.ceil(missing / BLOCK_IDS)],
      )
      const fresh = rows.flatMap(({ block }) =>
        Array.from({ length: BLOCK_IDS }, (_, index) => block * BLOCK_IDS + index),
      )
      ids = [...ids, ...fresh]
    },
    next: () => ids.shift()!,
    forget: () => void (ids = []),
  }
}
