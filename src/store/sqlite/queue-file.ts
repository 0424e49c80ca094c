/**
 * The queue's file. When it turns out to be corrupt it is quarantined under another name and a fresh one is begun. The group that
 * met the damage runs again in the fresh one, since none of it was answered: commits are taken, and outcomes of batches that are
 * gone change nothing.
 *
 * Only a file's content counts as damage: no wrong key, missing permission, newer schema, other process or full disk. A file
 * without a vault of ours beside it is not moved.
 */
import { existsSync } from 'node:fs'
import { StoreCannotOpen } from '../../errors.ts'
import type { Sealer } from '../../vault/seal.ts'
import { addKeyChecks } from '../core/reseal.ts'
import { failAll, type Operation, type Outcomes } from '../engine/operations.ts'
import { vaultBeside } from '../paths.ts'
import { closeFile, closeQuietly, inspectFile, openFile, type OpenFileOptions } from './connection.ts'
import { isDamage } from './failures.ts'
import { finishQuarantine, quarantine } from './quarantine.ts'
import { createQueueTables, type QueueTables, type QueueTablesOptions } from './queue-tables.ts'
import type { ReservedSpace } from './reserved-space.ts'
import { QUEUE_SCHEMA } from './schema.ts'
import { createWriter, type RunOperations } from './writer.ts'
import { isWalDamaged } from './wal.ts'

export interface QueueFileOptions
  extends Omit<QueueTablesOptions, 'db' | 'lastBatchId'>, Omit<OpenFileOptions, 'schema' | 'onDamage'> {
  readonly reservedSpace: ReservedSpace
}

/** A disk that damages every file must not be filled with quarantined ones. */
const PAUSE_MS = 1000

/**
 * Reads only. Throws any reason for which the file must not be opened. Without a vault of ours beside it that is damage, too, and
 * a queue: the vault is begun first, so it was lost, and none of the queue's accounts would be known.
 */
export function inspectQueue(path: string, sealer: Sealer, hasVault: boolean): 'new' | 'sound' | 'corrupt' {
  try {
    const isBegun = inspectFile(path, QUEUE_SCHEMA, sealer, 'head')
    if (hasVault) return 'sound'
    if (!isBegun) return 'new'
  } catch (error) {
    if (hasVault && isDamage(error)) return 'corrupt'
    throw error
  }
  throw new StoreCannotOpen(
    `The queue ${path} is there, but not its vault ${vaultBeside(path)}: put back the vault of the same store. Nothing was changed.`,
  )
}

export function openQueueFile(options: QueueFileOptions, found: ReturnType<typeof inspectQueue>) {
  const { path, onProblem } = options
  /** A late acknowledgement of the old file's batch must not hit a new one. */
  let lastBatchId = 0
  let quarantinedAtMs = -Infinity
  let reported: string | undefined
  let current: ReturnType<typeof open> | undefined

  /** Renamed while it is open: closing deletes a WAL that still has its name. */
  function replace(): void {
    const damaged = current
    // First, so that it is done once, whatever fails below.
    current = undefined
    if (damaged !== undefined) lastBatchId = damaged.tables.nextBatchId()
    quarantine(path, Date.now())
    quarantinedAtMs = performance.now()
    if (damaged !== undefined) closeQuietly(damaged.tables.db)
  }

  function open(onDamage = () => {}): { readonly tables: QueueTables; readonly run: RunOperations } {
    const aside = finishQuarantine(path, Date.now())
    if (aside !== undefined && aside !== reported) onProblem({ problem: 'queue_quarantined', path: aside })
    reported = aside
    return openFile({ ...options, onDamage, schema: QUEUE_SCHEMA }, (db) => {
      const tables = createQueueTables({ ...options, lastBatchId, db })
      tables.run(addKeyChecks(options.sealer, ['queue']))
      return { tables, run: createWriter(tables, options) }
    })
  }

  function start() {
    if (found === 'new') return open()
    if (found === 'corrupt' || (existsSync(path) && isWalDamaged(`${path}-wal`))) replace()
    try {
      return open(replace)
    } catch (error) {
      if (!isDamage(error)) throw error
      return open()
    }
  }

  function run(operations: readonly Operation[]): Outcomes {
    for (;;) {
      try {
        current ??= open()
        return current.run(operations)
      } catch (error) {
        if (!isDamage(error) || performance.now() - quarantinedAtMs < PAUSE_MS)
          return failAll(operations, 'unavailable', error)
      }
      try {
        replace()
      } catch (error) {
        return failAll(operations, 'unavailable', error)
      }
    }
  }

  current = start()
  return {
    run,
    /** Undefined while one that was quarantined is not replaced yet. */
    db: () => current?.tables.db,
    close(): void {
      if (current !== undefined) closeFile(current.tables.db)
    },
  }
}
