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
import { chooseBallastBytes, createBallast, type Ballast } from './ballast.ts'
import { runAdmitted } from './admission.ts'
import { createCommit } from './commit.ts'
import {
  closeFile,
  guardOpening,
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
import { createDeadLetterSearch, createLetterWalk } from './letter-search.ts'
import { packBytes, toTravelError } from './protocol.ts'
import type {
  AnswerOf,
  FromWorker,
  Operation,
  Outcome,
  QueueSize,
  ToWorker,
  WorkerSettings,
} from './protocol.ts'
import {
  inspectQueue,
  isQueueCorrupt,
  openQueueFile,
  type QueueFile,
  type RunOperations,
} from './queue-file.ts'
import type { Queue } from './queue.ts'
import { createPurge, createReplay } from './replay.ts'
import { createReseal } from './reseal.ts'
import { createRestore } from './restore.ts'
import { createRoom } from './room.ts'
import { VAULT_SCHEMA } from './schema.ts'
import { createSettling } from './settle.ts'
import { createTransactions, type Handlers, type QueueKind } from './transaction.ts'
import { createVaultHandlers, type VaultKind } from './vault.ts'
import { createWriteProbe } from './write-probe.ts'
import { fromWire, toWireAnswer, type WireBatch } from './wire.ts'

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
  readonly ballast: Ballast
  readonly queueFile: QueueFile
}

/** Both files are looked at before either is touched; last opened, first closed when the second one fails. */
function openFiles(settings: WorkerSettings): Files {
  const { queuePath, vaultPath, ballastPath, masterKeys, storeLimitBytes, openedAtMs } = settings
  const sealer = createSealer(masterKeys)
  const report: Queue['report'] = (problem) => send({ kind: 'problem', problem })

  function inspectFiles(): boolean {
    const isOurs = inspectVault(vaultPath, sealer)
    // What was never this relay's queue is not for it to move.
    if (isOurs) isQueueCorrupt(queuePath, sealer)
    else inspectQueue(queuePath, sealer)
    return isOurs
  }

  function openAll(isOurs: boolean): Files {
    const [ballast, ballastBytes] = guardOpening(vaultPath, () => {
      mkdirSync(dirname(queuePath), { recursive: true, mode: 0o700 })
      const bytes = chooseBallastBytes(dirname(queuePath), settings.reservedBytes)
      return [createBallast(ballastPath, bytes), bytes] as const
    })
    const vaultDb = openFile({ path: vaultPath, schema: VAULT_SCHEMA, limitBytes: Infinity })
    try {
      addCheck(vaultDb, sealer)
      const createRun = (queue: Queue) => createQueueRun(queue, vaultDb, ballast, settings)
      const walBytes = chooseWalBytes(ballastBytes, storeLimitBytes)
      const options = { path: queuePath, limitBytes: storeLimitBytes, walBytes, sealer, openedAtMs, report }
      return { vaultDb, ballast, queueFile: openQueueFile({ ...options, createRun }, isOurs) }
    } catch (error) {
      closeFile(vaultDb)
      throw error
    }
  }

  const open = () => guardOpening(queuePath, () => openAll(inspectFiles()))
  try {
    return open()
  } catch (error) {
    // A start on a full disk: what is queued has to leave all the same.
    if (!isNoSpace(error) || !createBallast(ballastPath, 0).giveUp('all')) throw error
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

/** Written back in time to find room where the ballast was, and no large part of a small store. */
function chooseWalBytes(ballastBytes: number, storeLimitBytes: number): number {
  return Math.min(WAL_BYTES, ballastBytes * 0.7, storeLimitBytes / 16)
}

/** Runs a batch's operations on the queue: what it has no room for is refused, the rest is done. */
function createQueueRun(
  queue: Queue,
  vaultDb: DatabaseSync,
  ballast: Ballast,
  { queuePath, storeLimitBytes }: WorkerSettings,
): RunOperations {
  const room = createRoom(queue, queuePath, storeLimitBytes)
  const size = (): QueueSize => {
    ballast.keep()
    return room.size()
  }
  const makeRoom = () => {
    if (!ballast.giveUp('most')) return false
    writeBackWal(queue.db)
    return true
  }
  const handlers = createQueueHandlers(queue, vaultDb, size)
  const transact = createTransactions({ queue, handlers, makeRoom })
  return (operations) => runAdmitted(operations, room, transact)
}

function serve({ vaultDb, ballast, queueFile }: Files): void {
  const vaultHandlers = createVaultHandlers(vaultDb)

  function runVault(kind: VaultKind, request: unknown): Outcome {
    const handle = vaultHandlers[kind] as (request: unknown) => AnswerOf<VaultKind>
    try {
      return { status: 'done', answer: handle(request) }
    } catch (error) {
      // An operator's change, such as a new token, may be what lets the queue drain.
      if (isNoSpace(error) && ballast.giveUp('most')) return runVault(kind, request)
      return { status: isPlaceAtFault(error) ? 'unavailable' : 'refused', error: toTravelError(error) }
    }
  }

  function runBatch(operations: readonly Operation[]): Outcome[] {
    const queued = queueFile.run(operations.filter(({ kind }) => !(kind in vaultHandlers))).values()
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
        send({ kind: 'closed', error: close([() => queueFile.close(), () => closeFile(vaultDb)]) })
        port.close()
        break
    }
  })
}

function createQueueHandlers(
  queue: Queue,
  vaultDb: DatabaseSync,
  size: () => QueueSize,
): Handlers<QueueKind> {
  const { lanes, letters, seen } = queue
  const settling = createSettling(queue)
  const walk = createLetterWalk(queue.db)
  const audit = createAudit(queue.db)
  return {
    commit: createCommit(queue),
    countRefused: (request) => lanes.count(lanes.idOf(request), { refused: request.refusedCount }),
    ...settling,
    lease: createLeasing(queue),
    backlog() {
      lanes.flush()
      return lanes.backlog()
    },
    books(filter) {
      lanes.flush()
      return lanes.books(filter)
    },
    deadLetters: createDeadLetterSearch(queue, walk),
    replay: createReplay(queue, { walk, audit }),
    purge: createPurge(queue, { walk, audit }),
    expire: createExpiry(queue, settling),
    trimDeadLetters: (request) => letters.trim(request),
    addAudit: (entry) => void audit.add(entry),
    auditTrail: (query) => audit.trail(query),
    forgetSeen: ({ seenBeforeMs, after }) => seen.forgetStep(seenBeforeMs, after),
    reseal: createReseal(queue, vaultDb),
    salvage: createRestore(queue),
    size,
    probeWrite: createWriteProbe(queue.db),
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
  port.postMessage(message.kind === 'batch' ? toWireAnswer(message) : message, transfer)
}
