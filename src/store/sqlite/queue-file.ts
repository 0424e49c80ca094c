/**
 * The queue's file. When it turns out to be corrupt it is quarantined under another name and a fresh one is begun. The group that
 * met the damage runs again in the fresh one, since none of it was answered: commits are taken, and outcomes of batches that are
 * gone change nothing.
 *
 * Only a file's content counts as damage: no wrong key, missing permission, newer schema, other process or full disk. A file
 * without a vault of ours beside it was never this relay's queue, and is not moved.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { closeFile, inspectFile, openFile, type OpenFileOptions } from './connection.ts'
import { translateOpenErrors, isDamage } from './failures.ts'
import { addKeyChecks } from '../core/reseal.ts'
import { assertKeysOpen } from './keys.ts'
import { toTravelError, type Operation, type Outcome } from '../engine/operations.ts'
import { createQueueTables, type QueueTables, type QueueTablesOptions } from './queue-tables.ts'
import { createRunner } from './run.ts'
import { QUEUE_SCHEMA } from './schema.ts'
import { finishQuarantine, quarantine } from './quarantine.ts'
import { isWalDamaged } from './wal.ts'

export interface QueueFileOptions
  extends Omit<QueueTablesOptions, 'db'>, Pick<OpenFileOptions, 'path' | 'limitBytes' | 'walBytes'> {
  /** Makes the runner of an open queue's operations. */
  readonly createRun: (tables: QueueTables) => RunOperations
}

/** Throws, and has changed nothing, when the file is corrupt. */
export type RunOperations = (operations: readonly Operation[]) => Outcome[]

export interface QueueFile {
  readonly run: RunOperations
  /** Undefined while one that was quarantined is not replaced yet. */
  readonly db: () => DatabaseSync | undefined
  close(): void
}

interface OpenQueue {
  readonly tables: QueueTables
  readonly run: RunOperations
}

/** A disk that damages every file must not be filled with quarantined ones. */
const PAUSE_MS = 1000

/**
 * Reads only. `foreign` where no vault of ours is beside it: then damage is thrown, as is any reason for which the file must
 * not be opened.
 */
export function inspectQueue(path: string, sealer: Sealer, isOurs: boolean): 'foreign' | 'sound' | 'corrupt' {
  try {
    inspectFile(path, QUEUE_SCHEMA, (db) => assertKeysOpen(db, sealer))
    return isOurs ? 'sound' : 'foreign'
  } catch (error) {
    if (isOurs && isDamage(error)) return 'corrupt'
    throw error
  }
}

export function openQueueFile(options: QueueFileOptions, found: ReturnType<typeof inspectQueue>): QueueFile {
  const { path, report } = options
  let lastId = 0
  let quarantinedAtMs = -Infinity
  let current: OpenQueue | undefined

  /** Renamed while it is open: closing deletes a WAL that still has its name. */
  function replace(): void {
    const damaged = current
    // First, so that it is done once, whatever fails below.
    current = undefined
    if (damaged !== undefined) lastId = damaged.tables.nextBatchId()
    const newPath = quarantine(path, Date.now())
    quarantinedAtMs = performance.now()
    report({ problem: 'queue_quarantined', path: newPath })
    if (damaged !== undefined) closeQuietly(damaged.tables.db)
  }

  /** A late acknowledgement of the old file's batch must not hit a new one. */
  function openFresh(): OpenQueue {
    finishQuarantine(path)
    return openQueue({ ...options, openedAtMs: Math.max(options.openedAtMs, Math.ceil(lastId / 1000)) })
  }

  function start(): OpenQueue {
    if (found === 'foreign') return openQueue(options)
    finishQuarantine(path)
    if (found === 'corrupt' || isWalDamaged(`${path}-wal`)) replace()
    try {
      return openQueue({ ...options, onDamage: replace })
    } catch (error) {
      if (!isDamage(error)) throw error
      return openFresh()
    }
  }

  function run(operations: readonly Operation[]): Outcome[] {
    for (;;) {
      try {
        current ??= openFresh()
        return current.run(operations)
      } catch (error) {
        if (!isDamage(error) || performance.now() - quarantinedAtMs < PAUSE_MS)
          return failAll(operations, error)
      }
      try {
        replace()
      } catch (error) {
        return failAll(operations, error)
      }
    }
  }

  current = start()
  return {
    run,
    db: () => current?.tables.db,
    close() {
      if (current !== undefined) closeFile(current.tables.db)
    },
  }
}

/** `onDamage` is called before a damaged file is closed. */
function openQueue(options: QueueFileOptions & { readonly onDamage?: () => void }): OpenQueue {
  const { path, sealer, createRun, onDamage = () => {} } = options
  const db = openFile({ ...options, schema: QUEUE_SCHEMA, onDamage })
  try {
    return translateOpenErrors(path, () => {
      createRunner(db)(addKeyChecks(sealer, ['queue']))
      const tables = createQueueTables({ ...options, db })
      return { tables, run: createRun(tables) }
    })
  } catch (error) {
    if (isDamage(error)) onDamage()
    closeQuietly(db)
    throw error
  }
}

function closeQuietly(db: DatabaseSync): void {
  try {
    db.close()
  } catch {
    // The first error is reported, not this one.
  }
}

function failAll(operations: readonly Operation[], error: unknown): Outcome[] {
  return operations.map(() => ({ status: 'unavailable', error: toTravelError(error) }))
}
