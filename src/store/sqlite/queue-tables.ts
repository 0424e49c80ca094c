/** The open queue file with what its operations share, and the one place where these parts are made. */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { packHistory, type BatchRow, type QueueRow } from '../core/rows.ts'
import { insert, query } from '../core/sql.ts'
import { createTotalCounts, readBytes, type StoredBytes } from '../core/totals.ts'
import { createTrailTail } from '../core/trail-tail.ts'
import { createTrailWriter } from '../core/trail.ts'
import type { Leases, Transaction } from '../core/transaction.ts'
import type { StoreOptions } from '../engine/api.ts'
import { createDedupe } from './dedupe.ts'
import { createOpenTrail } from './open-trail.ts'
import { createRunner, type Run } from './run.ts'

/** SQLite keeps no owners: every count is this process's. */
export const OWNER_ID = 0

export interface QueueTablesOptions extends Pick<StoreOptions, 'hasTrail' | 'wallMs' | 'onProblem'> {
  readonly db: DatabaseSync
  readonly sealer: Sealer
  /** The last batch id of the queue file that this one replaces. */
  readonly lastBatchId: number
  readonly vaultDb: DatabaseSync
}

/** What a batch takes besides its payload: its row, index and seal; the keys of one event. */
export const BATCH_BYTES = 512
export const EVENT_BYTES = 64

export type QueueTables = ReturnType<typeof createQueueTables>

export function createQueueTables(options: QueueTablesOptions) {
  const { db, sealer, onProblem } = options
  const run = createRunner(db)
  /** What a rollback has to do in memory, the last first. */
  const undo: (() => void)[] = []
  const runInVault = createRunner(options.vaultDb)
  const totals = createTotals(run)
  const trail = createTrailWriter(options.hasTrail, options.wallMs)
  const openTrail = createOpenTrail({ trail, totals, undo }, run)
  const [last] = run(query<{ id: number }>('SELECT COALESCE(MAX(batch_id), 0) AS id FROM batches'))
  let batchId = Math.max(last!.id, options.lastBatchId, Math.floor(options.wallMs()) * 1000)
  return {
    db,
    run,
    sealer,
    report: onProblem,
    totals,
    tail: createTrailTail(),
    trail,
    openTrail,
    closeTrail: () => openTrail.close(),
    /** Infinite until sqlite/capacity.ts has measured. */
    limits: { deadLetterBytes: Infinity, trailBytes: Infinity },
    undo,
    leases: createLeases(undo),
    dedupe: createDedupe(db, undo),
    /**
     * Never used before, so that a late acknowledgement cannot hit a stranger: not in this run, nor in an earlier one, nor in a
     * queue file that this one replaced. Microseconds since the epoch begin each run; none takes a million a second.
     */
    nextBatchId: () => ++batchId,
    ownerIds: [OWNER_ID],
    // Nobody else has the file.
    *tryLock() {
      return true
    },
    *inVault(steps) {
      return runInVault(steps)
    },
    *keyIdsInUse() {
      return []
    },
  } satisfies Transaction & Record<string, unknown>
}

/**
 * Which batches are leased, in memory only: with SQLite a lease ends with the process that holds it, and by no clock. Only
 * leased batches are listed, so a long queue costs nothing here.
 */
function createLeases(undo: (() => void)[]): Leases {
  const held = new Set<number>()

  const toggle = (batchId: number) => void (held.delete(batchId) || held.add(batchId))

  function change(batchId: number, isHeld: boolean): void {
    if (held.has(batchId) === isHeld) return
    undo.push(() => toggle(batchId))
    toggle(batchId)
  }

  return {
    isHeld: (batchId) => held.has(batchId),
    *insert(rows, state) {
      yield* insert('batches', rows)
      if (state === 'leased') for (const row of rows) change(row.batch_id, true)
    },
    *take(batchIds) {
      for (const batchId of batchIds) change(batchId, true)
      if (batchIds.length === 0) return []
      return yield* query<BatchRow>('SELECT * FROM batches WHERE batch_id = ANY($1)', [batchIds])
    },
    *release(batches) {
      for (const { batchId, attempts, history } of batches) {
        // A full prefetch releases batches that were not tried: then there is nothing to write.
        yield* query(
          `UPDATE batches SET attempts = $2, history = $3
           WHERE batch_id = $1 AND (attempts <> $2 OR history IS NOT $3)`,
          [batchId, attempts, packHistory(history)],
        )
        change(batchId, false)
      }
    },
    end(batchIds) {
      for (const batchId of batchIds) change(batchId, false)
    },
    *olderThan(eventTimeS, limit) {
      // Queue by queue: an index of all by age would cost each commit.
      const rows = yield* query<Pick<BatchRow, 'batch_id' | 'pending_count'>>(
        `SELECT batch_id, pending_count FROM totals CROSS JOIN batches USING (ad_account_id, is_test)
         WHERE totals.batches > 0 AND is_test = 0 AND is_replay IN (0, 1) AND batches.owner_id IS NULL
           AND oldest_event_time_s < $1 LIMIT $2`,
        [eventTimeS, limit + held.size],
      )
      return rows.filter((row) => !held.has(row.batch_id)).slice(0, limit)
    },
  }
}

const QUEUED = `COALESCE(SUM(bytes + ${BATCH_BYTES} * batches + ${EVENT_BYTES} * queued), 0)`

export function createTotals(run: Run) {
  const counts = createTotalCounts()
  /** Undefined after a rollback, until it is asked for. */
  let written: StoredBytes | undefined

  /** Over all queues, including what is not written yet. */
  function sizes(): StoredBytes {
    written ??= run(readBytes())
    return {
      queuedBytes: written.queuedBytes + counts.sum('bytes'),
      deadLetterBytes: written.deadLetterBytes + counts.sum('dead_bytes'),
      trailBytes: written.trailBytes + counts.sum('trail_bytes'),
    }
  }

  return {
    count: counts.count,
    sum: counts.sum,
    sizes,
    take() {
      written = sizes()
      return counts.take()
    },
    /** Drops what a transaction counted, after its rollback. */
    forget(): void {
      written = undefined
      counts.take()
    },
    /** Approximate bytes of an account's queued batches, as they are written. */
    queuedBytes(adAccountId: string): number {
      const sql = `SELECT ${QUEUED} AS bytes FROM totals WHERE ad_account_id = $1`
      return run(query<{ bytes: number }>(sql, [adAccountId]))[0]!.bytes
    },
    /** Accounts that have more than this queued, as it is written. */
    accountsAbove(bytes: number): string[] {
      const sql = `SELECT ad_account_id FROM totals WHERE batches > 0 GROUP BY ad_account_id HAVING ${QUEUED} > $1`
      return run(query<QueueRow>(sql, [bytes])).map((row) => row.ad_account_id)
    },
  }
}
