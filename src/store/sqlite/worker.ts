/**
 * The thread that owns both files: no other thread or process opens them while it runs. It answers each message with
 * exactly one, in order, and never ends by itself after it has opened.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { createSealer, type Sealer } from '../../vault/seal.ts'
import { createAudit } from './audit.ts'
import { chooseReservedBytes, createReservedSpace, type ReservedSpace } from './reserved-space.ts'
import { runAdmitted } from './admission.ts'
import { createCommit } from './commit.ts'
import {
  closeFile,
  translateOpenErrors,
  inspectFile,
  isNoSpace,
  isPlaceAtFault,
  openFile,
  readPragma,
  StoreDamaged,
  WAL_BYTES,
  writeBackWal,
} from './connection.ts'
import { createExpiry } from './expire.ts'
import { addCheck, assertKeysOpen } from './key-checks.ts'
import { createLeasing } from './lease.ts'
import { createDeadLetterSearch, createDeadLetterWalk } from './dead-letter-search.ts'
import { packBytes, toTravelError } from '../engine/protocol.ts'
import type {
  AnswerOf,
  FromWorker,
  Operation,
  Outcome,
  QueueSize,
  ToWorker,
  WorkerSettings,
} from '../engine/protocol.ts'
import {
  inspectQueue,
  isQueueCorrupt,
  openQueueFile,
  type QueueFile,
  type RunOperations,
} from './queue-file.ts'
import type { QueueTables } from './queue-tables.ts'
import { createPurge, createReplay } from './replay.ts'
import { createReseal } from './reseal.ts'
import { createRestore } from './restore.ts'
import { createCapacity } from './capacity.ts'
import { VAULT_SCHEMA } from './schema.ts'
import { createAcknowledgements } from './acknowledge.ts'
import { createTransactions, type Handlers, type QueueKind } from './transaction.ts'
import { createVaultHandlers, type VaultKind } from './vault.ts'
import { createWriteProbe } from './write-probe.ts'
import { toWireAnswer } from './wire.ts'

const port = parentPort!
start(workerData as WorkerSettings)

function start(settings: WorkerSettings): void {
  try {
    serve(openFiles(settings))
    send({ kind: 'open' })
  } catch (error) {
    send({ kind: 'failed', error: toTravelError(error) })
    port.close()
  }
}

interface Files {
  readonly vaultDb: DatabaseSync
  readonly reservedSpace: ReservedSpace
  readonly queueFile: QueueFile
}

/** Both files are looked at before either is touched; last opened, first closed when the second one fails. */
function openFiles(settings: WorkerSettings): Files {
  const { queuePath, vaultPath, reservedSpacePath, masterKeys, storeLimitBytes, openedAtMs } = settings
  const sealer = createSealer(masterKeys)
  const report: QueueTables['report'] = (problem) => send({ kind: 'problem', problem })

  function inspectFiles(): boolean {
    const isOurs = inspectVault(vaultPath, sealer)
    // What was never this relay's queue is not for it to move.
    if (isOurs) isQueueCorrupt(queuePath, sealer)
    else inspectQueue(queuePath, sealer)
    return isOurs
  }

  function openAll(isOurs: boolean): Files {
    const [reservedSpace, reservedBytes] = translateOpenErrors(vaultPath, () => {
      mkdirSync(dirname(queuePath), { recursive: true, mode: 0o700 })
      const bytes = chooseReservedBytes(dirname(queuePath), settings.reservedBytes)
      return [createReservedSpace(reservedSpacePath, bytes), bytes] as const
    })
    const vaultDb = openFile({ path: vaultPath, schema: VAULT_SCHEMA, limitBytes: Infinity })
    try {
      addCheck(vaultDb, sealer)
      const createRun = (tables: QueueTables) => createQueueRun(tables, vaultDb, reservedSpace, settings)
      const walBytes = chooseWalBytes(reservedBytes, storeLimitBytes)
      const options = { path: queuePath, limitBytes: storeLimitBytes, walBytes, sealer, openedAtMs, report }
      return { vaultDb, reservedSpace, queueFile: openQueueFile({ ...options, createRun }, isOurs) }
    } catch (error) {
      closeFile(vaultDb)
      throw error
    }
  }

  const open = () => translateOpenErrors(queuePath, () => openAll(inspectFiles()))
  try {
    return open()
  } catch (error) {
    // A start on a full disk: what is queued has to leave all the same.
    if (!isNoSpace(error) || !createReservedSpace(reservedSpacePath, 0).giveUp('all')) throw error
    return open()
  }
}

/** Answers whether there is a vault and it is ours. It is small: it can be read as a whole before it is trusted. */
function inspectVault(vaultPath: string, sealer: Sealer): boolean {
  return inspectFile(vaultPath, VAULT_SCHEMA, (db) => {
    assertKeysOpen(db, sealer)
    const found = readPragma(db, 'quick_check(1)')
    if (found !== 'ok') throw new StoreDamaged(String(found))
  })
}

/** Written back in time to find room where the reserved space was, and no large part of a small store. */
function chooseWalBytes(reservedBytes: number, storeLimitBytes: number): number {
  return Math.min(WAL_BYTES, reservedBytes * 0.7, storeLimitBytes / 16)
}

/** Runs a group's operations on the queue: what it has no room for is refused, the rest is done. */
function createQueueRun(
  tables: QueueTables,
  vaultDb: DatabaseSync,
  reservedSpace: ReservedSpace,
  { queuePath, storeLimitBytes }: WorkerSettings,
): RunOperations {
  const capacity = createCapacity(tables, queuePath, storeLimitBytes)
  const size = (): QueueSize => {
    reservedSpace.keep()
    return capacity.size()
  }
  const makeRoom = () => {
    if (!reservedSpace.giveUp('most')) return false
    writeBackWal(tables.db)
    return true
  }
  const handlers = createQueueHandlers(tables, vaultDb, size)
  const transact = createTransactions({ tables, handlers, makeRoom })
  return (operations) => runAdmitted(operations, capacity, transact)
}

function serve({ vaultDb, reservedSpace, queueFile }: Files): void {
  const vaultHandlers = createVaultHandlers(vaultDb)

  function runVault(kind: VaultKind, request: unknown): Outcome {
    const handle = vaultHandlers[kind] as (request: unknown) => AnswerOf<VaultKind>
    try {
      return { status: 'done', answer: handle(request) }
    } catch (error) {
      // An operator's change, such as a new token, may be what lets the queue drain.
      if (isNoSpace(error) && reservedSpace.giveUp('most')) return runVault(kind, request)
      return { status: isPlaceAtFault(error) ? 'unavailable' : 'refused', error: toTravelError(error) }
    }
  }

  function runGroup(operations: readonly Operation[]): Outcome[] {
    const queued = queueFile.run(operations.filter(({ kind }) => !(kind in vaultHandlers))).values()
    return operations.map(({ kind, request }) =>
      kind in vaultHandlers ? runVault(kind as VaultKind, request) : queued.next().value!,
    )
  }

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'group': {
        const startedAt = performance.now()
        const outcomes = runGroup(message.operations)
        const { packed, buffer } = packPayloads(outcomes)
        send({ kind: 'group', outcomes: packed, durationMs: performance.now() - startedAt }, [buffer])
        break
      }
      case 'close':
        send({ kind: 'closed', error: close([() => queueFile.close(), () => closeFile(vaultDb)]) })
        port.close()
        break
    }
  })
}

function createQueueHandlers(
  tables: QueueTables,
  vaultDb: DatabaseSync,
  size: () => QueueSize,
): Handlers<QueueKind> {
  const { queues, deadLetters, dedupe } = tables
  const acknowledgements = createAcknowledgements(tables)
  const walk = createDeadLetterWalk(tables.db)
  const audit = createAudit(tables.db)
  return {
    commit: createCommit(tables),
    countInvalid: (request) => queues.count(queues.idOf(request), { invalid: request.invalidCount }),
    ...acknowledgements,
    lease: createLeasing(tables),
    backlog() {
      queues.flush()
      return queues.backlog()
    },
    totals(filter) {
      queues.flush()
      return queues.totals(filter)
    },
    deadLetters: createDeadLetterSearch(tables, walk),
    replay: createReplay(tables, { walk, audit }),
    purge: createPurge(tables, { walk, audit }),
    expire: createExpiry(tables, acknowledgements),
    trimDeadLetters: (request) => deadLetters.trim(request),
    addAudit: (entry) => void audit.add(entry),
    auditTrail: (query) => audit.trail(query),
    trimDedupe: ({ seenBeforeMs, after }) => dedupe.forgetStep(seenBeforeMs, after),
    reseal: createReseal(tables, vaultDb),
    recover: createRestore(tables),
    size,
    probeWrite: createWriteProbe(tables.db),
  }
}

/** Leased payloads leave in one buffer that changes hands. */
function packPayloads(outcomes: readonly Outcome[]): { packed: readonly Outcome[]; buffer: ArrayBuffer } {
  const batches = outcomes.flatMap((outcome) => {
    const isLeased = outcome.status === 'done' && Array.isArray(outcome.answer)
    return isLeased ? (outcome.answer as readonly object[]).filter(hasPayload) : []
  })
  const { views, buffer } = packBytes(batches.map(({ payload }) => payload))
  for (const [index, batch] of batches.entries()) batch.payload = views[index]!
  return { packed: outcomes, buffer }
}

function hasPayload(value: object): value is { payload: Uint8Array } {
  return 'payload' in value
}

function close(closings: readonly (() => void)[]) {
  let failure: unknown
  for (const closing of closings) {
    try {
      closing()
    } catch (error) {
      failure = error
    }
  }
  return failure === undefined ? undefined : toTravelError(failure)
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message.kind === 'group' ? toWireAnswer(message) : message, transfer)
}
