/**
 * Opens the queue's file and the vault's, which are locked meanwhile, and runs groups of operations on them.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { createSealer, type MasterKeys, type Sealer } from '../../vault/seal.ts'
import type { VaultStore } from '../../vault/vault-store.ts'
import { chooseReservedBytes, createReservedSpace, type ReservedSpace } from './reserved-space.ts'
import { assertSound, closeFile, inspectFile, openFile, WAL_BYTES, writeBackWal } from './connection.ts'
import { translateOpenErrors, isNoSpace } from './failures.ts'
import { addKeyChecks } from '../core/reseal.ts'
import { assertKeysOpen } from './keys.ts'
import { besideQueue, vaultBeside } from '../paths.ts'
import type { QueueSize } from '../engine/operations.ts'
import { inspectQueue, openQueueFile, type RunOperations } from './queue-file.ts'
import type { QueueTables, QueueTablesOptions } from './queue-tables.ts'
import { createAdmission } from './capacity.ts'
import { VAULT_SCHEMA } from './schema.ts'
import { createRunner } from './run.ts'
import { createTransactions } from './transaction.ts'
import { createVaultStore } from './vault.ts'

export interface FilesSettings extends Pick<
  QueueTablesOptions,
  'openedAtMs' | 'report' | 'hasTrail' | 'wallMs'
> {
  readonly queuePath: string
  readonly masterKeys: MasterKeys
  readonly storeLimitBytes: number
  readonly reservedBytes: number
}

export interface SqliteFiles {
  /** Runs operations of the queue in one transaction. Never throws. */
  readonly run: RunOperations
  readonly vaultStore: VaultStore
  /** Undefined while a queue that was quarantined is not replaced yet. */
  queueDb(): DatabaseSync | undefined
  readonly vaultDb: DatabaseSync
  /** Closes both files, also when the first one fails, whose error is thrown then. */
  close(): void
}

/** Throws STORE_IN_USE, STORE_TOO_NEW, WRONG_MASTER_KEY or STORE_CANNOT_OPEN; nothing was changed then. */
export function openSqliteFiles(settings: FilesSettings): SqliteFiles {
  const open = () => translateOpenErrors(settings.queuePath, () => openFiles(settings))
  try {
    return open()
  } catch (error) {
    // The relay has to start on a full disk too, so that the queue can drain.
    if (
      !isNoSpace(error) ||
      !createReservedSpace(besideQueue(settings.queuePath, '.reserved_space'), 0).giveUp('all')
    )
      throw error
    return open()
  }
}

/** Inspects both files before it changes either. */
function openFiles(settings: FilesSettings): SqliteFiles {
  const { queuePath, masterKeys, storeLimitBytes } = settings
  const vaultPath = vaultBeside(queuePath)
  const sealer = createSealer(masterKeys)
  const found = inspectQueue(queuePath, sealer, inspectVault(vaultPath, sealer))
  const [reservedSpace, reservedBytes] = translateOpenErrors(vaultPath, () => {
    mkdirSync(dirname(queuePath), { recursive: true, mode: 0o700 })
    const bytes = chooseReservedBytes(dirname(queuePath), settings.reservedBytes)
    return [createReservedSpace(besideQueue(queuePath, '.reserved_space'), bytes), bytes] as const
  })
  const vaultDb = openFile({ path: vaultPath, schema: VAULT_SCHEMA, limitBytes: Infinity })
  try {
    createRunner(vaultDb)(addKeyChecks(sealer, ['vault']))
    const queueFile = openQueueFile(
      {
        ...settings,
        path: queuePath,
        vaultDb,
        limitBytes: storeLimitBytes,
        // Small enough to be written back into the reserved space, and no large part of a small store.
        walBytes: Math.min(WAL_BYTES, reservedBytes * 0.7, storeLimitBytes / 16),
        sealer,
        createRun: (tables) => createQueueRun(tables, reservedSpace, settings),
      },
      found,
    )
    return {
      run: queueFile.run,
      vaultStore: createVaultStore(vaultDb, reservedSpace),
      queueDb: queueFile.db,
      vaultDb,
      close() {
        try {
          queueFile.close()
        } finally {
          closeFile(vaultDb)
        }
      },
    }
  } catch (error) {
    closeFile(vaultDb)
    throw error
  }
}

/** Whether there is a vault that this key opens. It is small enough to be checked as a whole. */
export function inspectVault(vaultPath: string, sealer: Sealer): boolean {
  return inspectFile(vaultPath, VAULT_SCHEMA, (db) => {
    assertKeysOpen(db, sealer)
    assertSound(db)
  })
}

/** Runs a group's operations on the queue; refuses those without room. */
function createQueueRun(
  tables: QueueTables,
  reservedSpace: ReservedSpace,
  { queuePath, storeLimitBytes }: FilesSettings,
): RunOperations {
  const admission = createAdmission(tables, queuePath, storeLimitBytes)
  const size = (): QueueSize => {
    reservedSpace.keep()
    return admission.size()
  }
  const makeRoom = () => {
    if (!reservedSpace.giveUp('most')) return false
    writeBackWal(tables.db)
    return true
  }
  const transact = createTransactions({ tables, size, makeRoom })
  return (operations) => admission.run(operations, transact)
}
