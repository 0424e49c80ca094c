/**
 * The queue's file from its opening to its close, and what happens when it turns out to be corrupt: it is quarantined by
 * its name and a fresh one is begun in its place. What was asked for meanwhile is done in the fresh one, since nothing
 * of it was answered: commits are taken, and outcomes on batches that are gone change nothing.
 *
 * Only a file's content is a reason. A wrong key, a missing right, a newer schema, another process or a full disk are
 * not, nor is a file beside which there is no vault of ours: that was never this relay's queue.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { closeFile, inspectFile, openFile } from './connection.ts'
import { translateOpenErrors, isDamage } from './failures.ts'
import { addCheck, assertKeysOpen } from './keys.ts'
import { toTravelError, type Operation, type Outcome, type StoreProblem } from '../engine/operations.ts'
import { createQueueTables, type QueueTables } from './queue-tables.ts'
import { QUEUE_SCHEMA } from './schema.ts'
import { finishQuarantine, quarantine } from './quarantine.ts'
import { isWalDamaged } from './wal.ts'

export interface QueueFileOptions {
  readonly path: string
  readonly limitBytes: number
  readonly walBytes: number
  readonly sealer: Sealer
  readonly openedAtMs: number
  readonly report: (problem: StoreProblem) => void
  readonly hasTrail: boolean
  /** Makes the runner of an open queue's operations. */
  readonly createRun: (tables: QueueTables) => RunOperations
}

/** Throws, and has changed nothing, when the file is corrupt. */
export type RunOperations = (operations: readonly Operation[]) => Outcome[]

export interface QueueFile {
  run: RunOperations
  /** Undefined while one that was quarantined is not replaced yet. */
  db(): DatabaseSync | undefined
  close(): void
}

interface OpenQueue {
  readonly tables: QueueTables
  readonly run: RunOperations
}

/** A disk that damages every file must not be filled with quarantined ones. */
const PAUSE_MS = 1000

/** Reads only. Throws when the file is corrupt, or must not be opened for another reason. */
export function inspectQueue(path: string, sealer: Sealer): void {
  inspectFile(path, QUEUE_SCHEMA, (db) => assertKeysOpen(db, sealer))
}

/** Reads only. Throws when the file must not be opened for another reason. */
export function isQueueCorrupt(path: string, sealer: Sealer): boolean {
  try {
    inspectQueue(path, sealer)
    return false
  } catch (error) {
    if (isDamage(error)) return true
    throw error
  }
}

/** `isOurs`: there is a vault beside it that this relay's key opens. */
export function openQueueFile(options: QueueFileOptions, isOurs: boolean): QueueFile {
  const { path, report } = options
  let lastId = 0
  let quarantinedAtMs = -Infinity
  let current: OpenQueue | undefined

  /** It may be open still: whoever has it open keeps it. */
  function replace(): void {
    const nowMs = Date.now()
    const newPath = quarantine(path, nowMs)
    quarantinedAtMs = performance.now()
    report({ problem: 'queue_quarantined', path: newPath })
  }

  /** A late acknowledgement of the old file's batch must not hit a new one. */
  function open(): OpenQueue {
    const openedAtMs = Math.max(lastId === 0 ? options.openedAtMs : Date.now(), Math.ceil(lastId / 1000))
    return openQueue({ ...options, openedAtMs })
  }

  function start(): OpenQueue {
    if (!isOurs) return openQueue(options)
    finishQuarantine(path)
    if (isQueueCorrupt(path, options.sealer) || isWalDamaged(`${path}-wal`)) replace()
    let isReplaced = false
    const onDamage = () => {
      replace()
      isReplaced = true
    }
    try {
      return openQueue({ ...options, onDamage })
    } catch (error) {
      if (!isReplaced) throw error
      return open()
    }
  }

  /** The old file is renamed while it is open: closing takes away a WAL that still has its name. */
  function giveUp({ tables }: OpenQueue): void {
    lastId = tables.nextBatchId()
    // Done once, whatever happens next.
    current = undefined
    replace()
    try {
      tables.db.close()
    } catch {
      // It is corrupt, and nobody waits for it.
    }
  }

  function runInFresh(operations: readonly Operation[]): Outcome[] {
    if (current === undefined) {
      finishQuarantine(path)
      current = open()
    }
    return current.run(operations)
  }

  current = start()
  return {
    run(operations) {
      try {
        return runInFresh(operations)
      } catch (error) {
        if (!isDamage(error) || performance.now() - quarantinedAtMs < PAUSE_MS)
          return failAll(operations, error)
      }
      try {
        if (current === undefined) replace()
        else giveUp(current)
        return runInFresh(operations)
      } catch (error) {
        return failAll(operations, error)
      }
    },
    db: () => current?.tables.db,
    close() {
      if (current !== undefined) closeFile(current.tables.db)
    },
  }
}

/** `onDamage` is called before a damaged file is closed. */
function openQueue(options: QueueFileOptions & { readonly onDamage?: () => void }): OpenQueue {
  const { path, limitBytes, walBytes, sealer, createRun, onDamage = () => {} } = options
  const db = openFile({ path, schema: QUEUE_SCHEMA, limitBytes, walBytes, onDamage })
  try {
    return translateOpenErrors(path, () => {
      addCheck(db, sealer)
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
    closeFile(db)
  } catch {
    // The first error is reported, not this one.
  }
}

function failAll(operations: readonly Operation[], error: unknown): Outcome[] {
  return operations.map(() => ({ status: 'unavailable', error: toTravelError(error) }))
}
