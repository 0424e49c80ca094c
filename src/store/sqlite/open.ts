/**
 * The store for one machine: two SQLite files, owned by a worker thread, so that neither sealing nor syncing ever blocks
 * the event loop. This side turns calls into operations and errors that travelled back into errors of the table.
 *
 * Opening rejects with STORE_IN_USE, STORE_TOO_NEW, WRONG_MASTER_KEY or STORE_CANNOT_OPEN, and has then changed nothing.
 * A corrupt queue is no reason: see `queue-file.ts`.
 */
import { once } from 'node:events'
import { format, parse, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { StoreCannotOpen, StoreInUse, StoreTooNew, StoreUnavailable, WrongMasterKey } from '../../errors.ts'
import type { MasterKeys } from '../../vault/seal.ts'
import type { VaultStore } from '../../vault/vault-store.ts'
import type { Store } from '../store.ts'
import { createWriteWatch, withWriteProblem } from '../write-watch.ts'
import { RESERVED_BYTES } from './reserved-space.ts'
import { createBatcher, type GroupReport } from '../engine/batcher.ts'
import { createStore, createVaultStore } from '../engine/client.ts'
import type { FromWorker, StoreProblem, ToWorker, TravelError, WorkerSettings } from '../engine/protocol.ts'
import { recoverFile, type RecoverReport } from './recover-file.ts'
import { findQuarantined } from './quarantine.ts'
import { fromWireAnswer, type WireGroupAnswer } from './wire.ts'
import { judgeFailure } from './write-probe.ts'

export interface SqliteOptions {
  /** The queue's file; the vault's and the reserved space stand beside it (`relay.vault.db`, `relay.reserved space`). */
  readonly path: string
  readonly masterKeys: MasterKeys
  /** The queue's file never grows past this; commits that would need more reject with STORE_UNAVAILABLE. */
  readonly storeLimitBytes?: number
  /** Disk space that is kept for the day when the disk is full. */
  readonly reservedBytes?: number
  /** Milliseconds since the epoch, from which the ids of this run's batches begin. */
  readonly openedAtMs?: number
  readonly onProblem?: (problem: StoreProblem) => void
  readonly onGroup?: (report: GroupReport) => void
}

export interface OpenedSqlite {
  readonly store: Store
  readonly vaultStore: VaultStore
  /**
   * Brings back what can still be read of a queue that was quarantined, by its name; undefined when there is none of that
   * name. The file is not changed, and what came back once does not come again.
   */
  recover(name: string, adAccountIds: readonly string[]): Promise<RecoverReport | undefined>
  /** Finishes what was asked for, writes the WAL back and ends the worker. The same as `store.close`. */
  close(): Promise<void>
}

export async function openSqlite(options: SqliteOptions): Promise<OpenedSqlite> {
  const queuePath = resolve(options.path)
  const settings: WorkerSettings = {
    queuePath,
    vaultPath: besideQueue(queuePath, 'vault'),
    reservedSpacePath: reservedSpaceBeside(queuePath),
    masterKeys: options.masterKeys,
    storeLimitBytes: options.storeLimitBytes ?? Infinity,
    reservedBytes: options.reservedBytes ?? RESERVED_BYTES,
    openedAtMs: options.openedAtMs ?? Date.now(),
  }
  const onProblem = options.onProblem ?? (() => {})
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: settings })
  const post = (message: ToWorker, transfer: ArrayBuffer[] = []) => worker.postMessage(message, transfer)
  const writes = createWriteWatch(judgeFailure)
  const batcher = createBatcher({
    port: { postMessage: post },
    onGroup: options.onGroup ?? (() => {}),
    onWriteFailed: writes.failed,
  })
  writes.probeWith(() => batcher.submit('probeWrite', undefined))

  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  // Nobody waits for it until `close`.
  closed.promise.catch(() => undefined)
  let isClosed = false

  worker.on('message', (message: Exclude<FromWorker, { kind: 'group' }> | WireGroupAnswer) => {
    switch (message.kind) {
      case 'open':
        opened.resolve()
        break
      case 'failed':
        opened.reject(reviveError(message.error))
        break
      case 'group':
        batcher.receive(fromWireAnswer(message))
        break
      case 'problem':
        onProblem(message.problem)
        break
      case 'closed':
        isClosed = true
        if (message.error === undefined) closed.resolve()
        else closed.reject(new StoreUnavailable({ cause: message.error }))
        break
    }
  })
  // An `error` is always followed by an `exit`, which does the rest.
  let death: unknown
  worker.on('error', (error) => {
    death = error
  })
  const exited = once(worker, 'exit').catch(() => once(worker, 'exit'))
  worker.on('exit', (code) => {
    const cause = death instanceof Error ? death : new Error(`The store's worker ended with code ${code}.`)
    opened.reject(
      new StoreCannotOpen(`The store ${queuePath} cannot be opened (${cause.message})`, { cause }),
    )
    closed.reject(new StoreUnavailable({ cause }))
    if (isClosed) return
    batcher.fail(new StoreUnavailable({ cause }))
    onProblem({ problem: 'worker_died', message: cause.message })
  })

  await opened.promise.catch(async (error: unknown) => {
    isClosed = true
    await exited
    throw error
  })

  let closing: Promise<void> | undefined
  async function closeAll(): Promise<void> {
    await batcher.drain()
    post({ kind: 'close' })
    await Promise.all([closed.promise, exited])
  }
  const close = () => (closing ??= closeAll())
  return {
    store: {
      ...createStore(batcher, close),
      size: () => withWriteProblem(writes, () => batcher.submit('size', undefined)),
    },
    vaultStore: createVaultStore(batcher),
    async recover(name, adAccountIds) {
      const path = findQuarantined(queuePath, name)
      const { masterKeys } = options
      if (path === undefined) return undefined
      return recoverFile(batcher, name, { path, masterKeys, adAccountIds })
    },
    close,
  }
}

function besideQueue(queuePath: string, word: string): string {
  const { dir, name, ext } = parse(queuePath)
  return format({ dir, name: `${name}.${word}`, ext })
}

function reservedSpaceBeside(queuePath: string): string {
  const { dir, name } = parse(queuePath)
  return format({ dir, name, ext: '.reserved_space' })
}

const OPENING_ERRORS = [StoreInUse, StoreTooNew, WrongMasterKey, StoreCannotOpen]

function reviveError({ code, message }: TravelError): Error {
  const OpeningError = OPENING_ERRORS.find((candidate) => candidate('').code === code) ?? StoreCannotOpen
  return new OpeningError(message)
}
