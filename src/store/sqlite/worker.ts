/**
 * The thread that owns both files: no other thread or process opens them while it runs. It answers each message with
 * exactly one, in order, and never ends by itself after it has opened.
 */
import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { createSealer, type Sealer } from '../../vault/seal.ts'
import type { StoreSize } from '../store.ts'
import { createCommit } from './commit.ts'
import { closeFile, inspectFile, isPlaceAtFault, openFile, readPragma } from './connection.ts'
import { createDeadLetterSearch } from './dead-letters.ts'
import { addCheck, assertKeysOpen } from './key-checks.ts'
import { createLeasing } from './lease.ts'
import { packBytes, toTravelError } from './protocol.ts'
import type { AnswerOf, FromWorker, Operation, Outcome, ToWorker, WorkerSettings } from './protocol.ts'
import { createQueue, type Queue } from './queue.ts'
import { createReseal } from './reseal.ts'
import { QUEUE_SCHEMA, VAULT_SCHEMA } from './schema.ts'
import { createSettling } from './settle.ts'
import { createTransactions, type Handlers, type QueueKind } from './transaction.ts'
import { createVaultHandlers, type VaultKind } from './vault.ts'
import { fromWire, toWireAnswer, type WireBatch } from './wire.ts'

const port = parentPort!
start(workerData as WorkerSettings)

function start(settings: WorkerSettings): void {
  try {
    const { vaultDb, queue } = openFiles(settings)
    serve(queue, vaultDb, settings.queuePath)
    send({ kind: 'open' })
  } catch (error) {
    send({ kind: 'failed', error: toTravelError(error) })
    port.close()
  }
}

/** Both files are looked at before either is touched; last opened, first closed when the second one fails. */
function openFiles({ queuePath, vaultPath, masterKeys, storeLimitBytes, leaseMs }: WorkerSettings) {
  const sealer = createSealer(masterKeys)
  inspectFile(vaultPath, VAULT_SCHEMA, (db) => assertKeysOpen(db, sealer))
  inspectFile(queuePath, QUEUE_SCHEMA, (db) => assertKeysOpen(db, sealer))
  const vaultDb = openFile({ path: vaultPath, schema: VAULT_SCHEMA, limitBytes: Infinity })
  try {
    const db = openFile({ path: queuePath, schema: QUEUE_SCHEMA, limitBytes: storeLimitBytes })
    try {
      addChecks([vaultDb, db], sealer)
      const report: Queue['report'] = (problem) => send({ kind: 'problem', problem })
      return { vaultDb, queue: createQueue({ db, sealer, leaseMs, report }) }
    } catch (error) {
      closeFile(db)
      throw error
    }
  } catch (error) {
    closeFile(vaultDb)
    throw error
  }
}

function addChecks(dbs: readonly DatabaseSync[], sealer: Sealer): void {
  for (const db of dbs) addCheck(db, sealer)
}

function serve(queue: Queue, vaultDb: DatabaseSync, queuePath: string): void {
  const runQueueBatch = createTransactions(queue, createQueueHandlers(queue, vaultDb, queuePath))
  const vaultHandlers = createVaultHandlers(vaultDb)

  function runVault(kind: VaultKind, request: unknown): Outcome {
    try {
      const handle = vaultHandlers[kind] as (request: unknown) => AnswerOf<VaultKind>
      return { status: 'done', answer: handle(request) }
    } catch (error) {
      return { status: isPlaceAtFault(error) ? 'unavailable' : 'refused', error: toTravelError(error) }
    }
  }

  function runBatch(operations: readonly Operation[]): Outcome[] {
    const queued = runQueueBatch(operations.filter(({ kind }) => !(kind in vaultHandlers))).values()
    return operations.map(({ kind, request }) =>
      kind in vaultHandlers ? runVault(kind as VaultKind, request) : queued.next().value!,
    )
  }

  port.on('message', (message: Exclude<ToWorker, { kind: 'batch' }> | WireBatch) => {
    switch (message.kind) {
      case 'batch': {
        const startedAt = performance.now()
        const outcomes = runBatch(fromWire(message).operations)
        const { packed, buffer } = packPayloads(outcomes)
        send({ kind: 'batch', outcomes: packed, durationMs: performance.now() - startedAt }, [buffer])
        break
      }
      case 'close':
        send({ kind: 'closed', error: close([queue.db, vaultDb]) })
        port.close()
        break
    }
  })
}

function createQueueHandlers(queue: Queue, vaultDb: DatabaseSync, queuePath: string): Handlers<QueueKind> {
  const { lanes, seen } = queue
  return {
    commit: createCommit(queue),
    countRefused: (request) => lanes.count(lanes.idOf(request), { refused: request.refusedCount }),
    ...createSettling(queue),
    lease: createLeasing(queue),
    backlog() {
      lanes.flush()
      return lanes.backlog()
    },
    books(filter) {
      lanes.flush()
      return lanes.books(filter)
    },
    deadLetters: createDeadLetterSearch(queue),
    forgetSeen: (request) => seen.forgetStep(request),
    reseal: createReseal(queue, vaultDb),
    size: () => measure(queue.db, queuePath),
  }
}

/** Pages in use, and the WAL, which the disk has to hold as well. */
function measure(db: DatabaseSync, path: string): StoreSize {
  const pages = Number(readPragma(db, 'page_count')) - Number(readPragma(db, 'freelist_count'))
  const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  const disk = statfsSync(dirname(path))
  return {
    usedBytes: pages * Number(readPragma(db, 'page_size')) + wal,
    diskFreeBytes: disk.bavail * disk.bsize,
  }
}

/** Leased payloads leave in one buffer that changes hands. */
function packPayloads(outcomes: readonly Outcome[]): { packed: readonly Outcome[]; buffer: ArrayBuffer } {
  const parcels = outcomes.flatMap((outcome) => {
    const isLeased = outcome.status === 'done' && Array.isArray(outcome.answer)
    return isLeased ? (outcome.answer as readonly object[]).filter(hasPayload) : []
  })
  const { views, buffer } = packBytes(parcels.map(({ payload }) => payload))
  for (const [index, parcel] of parcels.entries()) parcel.payload = views[index]!
  return { packed: outcomes, buffer }
}

function hasPayload(value: object): value is { payload: Uint8Array } {
  return 'payload' in value
}

function close(dbs: readonly DatabaseSync[]) {
  let failure: unknown
  for (const db of dbs) {
    try {
      closeFile(db)
    } catch (error) {
      failure = error
    }
  }
  return failure === undefined ? undefined : toTravelError(failure)
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message.kind === 'batch' ? toWireAnswer(message) : message, transfer)
}
