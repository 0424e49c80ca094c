/**
 * The store for one machine: two SQLite files, written by the thread that opens them, the engine's.
 *
 * Opening rejects with STORE_IN_USE, STORE_TOO_NEW, WRONG_MASTER_KEY or STORE_CANNOT_OPEN, and has then changed nothing.
 * A corrupt queue does not stop it: see `queue-file.ts`.
 */
import { resolve } from 'node:path'
import { StoreUnavailable } from '../../errors.ts'
import { createSealer, type Sealer } from '../../vault/seal.ts'
import { addKeyChecks } from '../core/reseal.ts'
import { createWriteWatch, type WriteProblem } from '../core/write-watch.ts'
import type { OpenedStore, StoreOptions } from '../engine/api.ts'
import { createBatcher } from '../engine/batcher.ts'
import { createStore } from '../engine/store.ts'
import { besideQueue, vaultBeside } from '../paths.ts'
import { createBackups } from './backup.ts'
import { closeFile, inspectFile, openFile, WAL_BYTES } from './connection.ts'
import { isFull, isNoSpace, translateOpenErrors } from './failures.ts'
import { findQuarantined } from './quarantine.ts'
import { inspectQueue, openQueueFile } from './queue-file.ts'
import { recoverFile } from './recover.ts'
import { createReservedSpace, shrink } from './reserved-space.ts'
import { createRunner } from './run.ts'
import { VAULT_SCHEMA } from './schema.ts'
import { createVaultStore } from './vault.ts'

/** `queuePath`: the vault's file and the reserved space are beside it (`relay.vault.db`, `relay.reserved_space`). */
export async function openSqlite(queuePath: string, options: StoreOptions): Promise<OpenedStore> {
  const path = resolve(queuePath)
  const { masterKeys, onGroup, signal } = options
  const sealer = createSealer(masterKeys)
  const { queueFile, vaultDb, reservedSpace } = openFiles({ ...options, path }, sealer)
  const writes = createWriteWatch({
    judge: judgeFailure,
    probe: () => batcher.submit('probeWrite', undefined),
  })
  const batcher = createBatcher({
    run: async (operations) => queueFile.run(operations),
    onGroup,
    onWriteFailed: writes.failed,
    signal,
  })
  const backups = createBackups(queueFile.db, vaultDb, masterKeys.current)
  const opened = new AsyncDisposableStack()
  opened.defer(() => closeFile(vaultDb))
  opened.defer(() => queueFile.close())
  opened.defer(() => batcher.drain())
  opened.defer(() => backups.stop())
  let closing: Promise<void> | undefined
  return {
    store: {
      ...createStore(batcher.submit),
      size: () => writes.size(() => batcher.submit('size', undefined)),
    },
    vaultStore: createVaultStore(vaultDb, reservedSpace),
    shared: undefined,
    async recover(name) {
      const found = findQuarantined(path, name)
      return found === undefined ? undefined : recoverFile(batcher, found, sealer)
    },
    backUp: (request) => backups.make(request),
    close: () =>
      (closing ??= opened.disposeAsync().catch((cause: unknown) => {
        throw new StoreUnavailable({ cause })
      })),
  }
}

type OpenOptions = StoreOptions & { readonly path: string }

/** The relay has to start on a full disk too, so that the queue can drain. */
function openFiles(options: OpenOptions, sealer: Sealer) {
  try {
    return tryToOpenFiles(options, sealer)
  } catch (error) {
    if (!isNoSpace(error) || !shrink(besideQueue(options.path, '.reserved_space'), 0)) throw error
    return tryToOpenFiles(options, sealer)
  }
}

/** Inspects both files before it changes either. */
function tryToOpenFiles(options: OpenOptions, sealer: Sealer) {
  const { path, reservedBytes, storeLimitBytes: limitBytes } = options
  const vaultPath = vaultBeside(path)
  // The vault is small enough to be read as a whole.
  const found = inspectQueue(path, sealer, inspectFile(vaultPath, VAULT_SCHEMA, sealer, 'whole'))
  const reservedSpace = translateOpenErrors(vaultPath, () =>
    createReservedSpace(besideQueue(path, '.reserved_space'), reservedBytes),
  )
  const vaultDb = openFile({ path: vaultPath, schema: VAULT_SCHEMA, limitBytes: Infinity }, (db) => {
    createRunner(db)(addKeyChecks(sealer, ['vault']))
    return db
  })
  try {
    // Small enough to be written back into the reserved space, and no large part of a small store.
    const walBytes = Math.min(WAL_BYTES, reservedSpace.sizeBytes * 0.7, limitBytes / 16)
    const own = { vaultDb, sealer, limitBytes, walBytes, reservedSpace }
    return { queueFile: openQueueFile({ ...options, ...own }, found), vaultDb, reservedSpace }
  } catch (error) {
    closeFile(vaultDb)
    throw error
  }
}

/**
 * An operation is unavailable because of the disk, its permissions, memory, or a file that cannot be replaced. The relay's own
 * refusal (capacity.ts), perhaps of one account, shows in the store's size.
 */
function judgeFailure(error: unknown): WriteProblem | undefined {
  if (error instanceof StoreUnavailable) return undefined
  return isFull(error) ? 'full' : 'stuck'
}
