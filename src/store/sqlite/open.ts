/**
 * The store for one machine: two SQLite files, written by the thread that opens them, the engine's.
 *
 * Opening rejects with STORE_IN_USE, STORE_TOO_NEW, WRONG_MASTER_KEY or STORE_CANNOT_OPEN, and has then changed nothing.
 * A corrupt queue does not stop it: see `queue-file.ts`.
 */
import { resolve } from 'node:path'
import { StoreUnavailable } from '../../errors.ts'
import { createSealer } from '../../vault/seal.ts'
import { createWriteWatch, type WriteProblem } from '../core/write-watch.ts'
import { RESERVED_BYTES } from './reserved-space.ts'
import type { OpenedStore, StoreOptions } from '../engine/api.ts'
import { createBatcher } from '../engine/batcher.ts'
import { createStore } from '../engine/client.ts'
import { createBackups } from './backup.ts'
import { openSqliteFiles } from './files.ts'
import { recoverFile } from './recover.ts'
import { findQuarantined } from './quarantine.ts'

export interface SqliteOptions extends StoreOptions {
  /** The queue's file; the vault's and the reserved space stand beside it (`relay.vault.db`, `relay.reserved_space`). */
  readonly path: string
  /** Disk space that is kept for the day when the disk is full. */
  readonly reservedBytes?: number
  /** Milliseconds since the epoch, from which the ids of this run's batches begin. */
  readonly openedAtMs?: number
}

export type OpenedSqlite = Omit<OpenedStore, 'shared'>

export async function openSqlite(options: SqliteOptions): Promise<OpenedSqlite> {
  const { masterKeys, onProblem = () => {}, onGroup = () => {} } = options
  const queuePath = resolve(options.path)
  const files = openSqliteFiles({
    queuePath,
    masterKeys,
    storeLimitBytes: options.storeLimitBytes ?? Infinity,
    reservedBytes: options.reservedBytes ?? RESERVED_BYTES,
    openedAtMs: options.openedAtMs ?? Date.now(),
    hasTrail: options.hasTrail ?? true,
    wallMs: options.wallMs ?? Date.now,
    report: onProblem,
  })
  const writes = createWriteWatch({
    judge: judgeFailure,
    probe: () => batcher.submit('probeWrite', undefined),
  })
  const batcher = createBatcher({
    run: async (operations) => files.run(operations),
    onGroup,
    onWriteFailed: writes.failed,
  })
  const backups = createBackups(files, masterKeys.current)
  let closing: Promise<void> | undefined
  async function closeAll(): Promise<void> {
    await backups.stop()
    await batcher.drain()
    try {
      files.close()
    } catch (cause) {
      throw new StoreUnavailable({ cause })
    }
  }
  const close = () => (closing ??= closeAll())
  return {
    store: {
      ...createStore(batcher.submit, close),
      size: () => writes.size(() => batcher.submit('size', undefined)),
    },
    vaultStore: files.vaultStore,
    async recover(name) {
      const path = findQuarantined(queuePath, name)
      if (path === undefined) return undefined
      return recoverFile(batcher, path, createSealer(masterKeys))
    },
    backUp: (request) => backups.make(request),
    close,
  }
}

/**
 * An operation is unavailable because of the disk, its permissions, memory, or a file that cannot be replaced. `STORE_FULL` is
 * the relay's own refusal, perhaps of one account, and shows in the store's size.
 */
function judgeFailure(code: string): WriteProblem | undefined {
  if (code === 'STORE_FULL') return undefined
  return code === 'DISK_FULL' ? 'full' : 'stuck'
}
