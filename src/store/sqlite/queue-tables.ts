/** The open queue file with what its operations share, and the one place where these parts are made. */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { prepareRows } from './connection.ts'
import { createQueues, type Queues } from './queues.ts'
import { createLeases, type Leases } from './leases.ts'
import { createDeadLetters, type DeadLetters } from './dead-letter-rows.ts'
import type { StoreProblem } from '../engine/protocol.ts'
import { createDedupe, type Dedupe } from './dedupe.ts'

export interface QueueTablesOptions {
  readonly db: DatabaseSync
  readonly sealer: Sealer
  /** When it was opened, in milliseconds since the epoch. */
  readonly openedAtMs: number
  readonly report: (problem: StoreProblem) => void
}

export interface QueueTables extends QueueTablesOptions {
  readonly queues: Queues
  readonly leases: Leases
  readonly deadLetters: DeadLetters
  readonly dedupe: Dedupe
  /**
   * Never used before, so that a late acknowledgement cannot hit a stranger: not in this run, nor in an earlier one, nor in a
   * queue file that this one replaced. Microseconds since the epoch begin each run; none takes a million a second.
   */
  readonly nextBatchId: () => number
}

export function createQueueTables(options: QueueTablesOptions): QueueTables {
  const { db, openedAtMs, report } = options
  const queues = createQueues(db)
  for (const difference of queues.audit()) report({ problem: 'totals_wrong', ...difference })
  const lastId = prepareRows<[batchId: number]>(db, 'SELECT COALESCE(MAX(batch_id), 0) FROM payloads').get()
  let batchId = Math.max(lastId![0], Math.floor(openedAtMs) * 1000)
  return {
    ...options,
    queues,
    leases: createLeases(),
    deadLetters: createDeadLetters(db, queues),
    dedupe: createDedupe(db),
    nextBatchId: () => ++batchId,
  }
}
