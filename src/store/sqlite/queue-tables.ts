/** The open queue file and the parts that its operations share. */
import type { DatabaseSync } from 'node:sqlite'
import { createTrailWriter } from '../core/trail.ts'
import type { Sealer } from '../../vault/seal.ts'
import type { StoreProblem } from '../engine/operations.ts'
import { createBatches, type Batches } from './batches.ts'
import { prepare } from './connection.ts'
import { createDeadLetters, type DeadLetters } from './dead-letters.ts'
import { createDedupe, type Dedupe } from './dedupe.ts'
import { createLeases, type Leases } from './leases.ts'
import { createTotals, type TotalCounts } from './totals.ts'
import { createTrail, type Trail } from './trail.ts'

export interface QueueTablesOptions {
  readonly db: DatabaseSync
  readonly sealer: Sealer
  /** When it was opened, in milliseconds since the epoch. */
  readonly openedAtMs: number
  readonly report: (problem: StoreProblem) => void
  /** Whether the event trail is written. */
  readonly hasTrail: boolean
  readonly wallMs: () => number
}

export interface QueueTables extends QueueTablesOptions {
  readonly totals: TotalCounts
  readonly leases: Leases
  readonly batches: Batches
  readonly deadLetters: DeadLetters
  readonly dedupe: Dedupe
  readonly trail: Trail
  /**
   * Never used before, in this run, an earlier one or a queue file that this one replaced: a late acknowledgement must not hit
   * another batch. Each run begins with the microseconds since the epoch; none takes a million ids a second.
   */
  readonly nextBatchId: () => number
}

export function createQueueTables(options: QueueTablesOptions): QueueTables {
  const { db, openedAtMs } = options
  const totals = createTotals(db)
  const last = prepare<{ id: number }>(db, 'SELECT COALESCE(MAX(batch_id), 0) AS id FROM batches').get()!
  let batchId = Math.max(last.id, Math.floor(openedAtMs) * 1000)
  return {
    ...options,
    totals,
    leases: createLeases(),
    batches: createBatches(db),
    deadLetters: createDeadLetters(db, totals),
    dedupe: createDedupe(db),
    trail: createTrail(db, totals, createTrailWriter(options.hasTrail, options.wallMs)),
    nextBatchId: () => ++batchId,
  }
}
