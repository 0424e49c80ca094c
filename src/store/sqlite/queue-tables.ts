/** The open queue file with what its operations share, and the one place where these parts are made. */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { query } from '../core/sql.ts'
import { createTrailTail, type TrailTail } from '../core/trail-tail.ts'
import { createTrailWriter } from '../core/trail.ts'
import type { Transaction } from '../core/transaction.ts'
import type { StoreProblem } from '../engine/operations.ts'
import { createDedupe } from './dedupe.ts'
import { createLeases } from './leases.ts'
import { createOpenTrail, type OpenTrail } from './open-trail.ts'
import { createRunner, type Run } from './run.ts'
import { createTotals, type QueueTotals } from './totals.ts'

/** SQLite keeps no owners: every count is this process's. */
export const OWNER_ID = 0

export interface QueueTablesOptions {
  readonly db: DatabaseSync
  readonly sealer: Sealer
  /** Of the queue file that this one replaces. */
  readonly lastBatchId: number
  readonly report: (problem: StoreProblem) => void
  /** Whether the event trail is written. */
  readonly hasTrail: boolean
  readonly wallMs: () => number
  readonly vaultDb: DatabaseSync
}

export interface QueueTables extends Transaction {
  readonly db: DatabaseSync
  readonly run: Run
  readonly tail: TrailTail
  readonly openTrail: OpenTrail
  readonly totals: QueueTotals
  /** What a rollback has to do in memory, the last first. */
  readonly undo: (() => void)[]
  /** None until they are set. */
  readonly limits: { deadLetterBytes: number; trailBytes: number }
  /**
   * Never used before, so that a late acknowledgement cannot hit a stranger: not in this run, nor in an earlier one, nor in a
   * queue file that this one replaced. Microseconds since the epoch begin each run; none takes a million a second.
   */
  readonly nextBatchId: () => number
}

export function createQueueTables(options: QueueTablesOptions): QueueTables {
  const { db, sealer, report } = options
  const run = createRunner(db)
  const undo: (() => void)[] = []
  const runInVault = createRunner(options.vaultDb)
  const totals = createTotals(run)
  const trail = createTrailWriter(options.hasTrail, options.wallMs)
  const openTrail = createOpenTrail({ trail, totals }, run)
  const [last] = run(query<{ id: number }>('SELECT COALESCE(MAX(batch_id), 0) AS id FROM batches'))
  let batchId = Math.max(last!.id, options.lastBatchId, Math.floor(options.wallMs()) * 1000)
  return {
    db,
    run,
    sealer,
    report,
    totals,
    tail: createTrailTail(),
    trail,
    openTrail,
    closeTrail: () => openTrail.close(),
    limits: { deadLetterBytes: Infinity, trailBytes: Infinity },
    undo,
    leases: createLeases(undo),
    dedupe: createDedupe(db, undo),
    nextBatchId: () => ++batchId,
    ownerIds: [OWNER_ID],
    // Nobody else has the file.
    *tryLock() {
      return true
    },
    *publishQueues() {},
    *inVault(steps) {
      return runInVault(steps)
    },
    *keyIdsInUse() {
      return []
    },
  }
}
