/**
 * The front's side of the engine: starts its thread and calls it. Opening rejects with the errors of the store's opening; later
 * calls reject with STORE_UNAVAILABLE once the thread has died, and with SHUTTING_DOWN once it has closed.
 */
import { once, type EventEmitter } from 'node:events'
import { Worker } from 'node:worker_threads'
import { ShuttingDown, StoreCannotOpen, StoreUnavailable } from '../../errors.ts'
import { CLOSE_MS } from '../../settings.ts'
import type { DecideChange, VaultStore } from '../../vault/vault-store.ts'
import type { Shared, SharedChange } from '../shared.ts'
import type { FrontStore } from '../store.ts'
import type { EngineApi, EngineSettings, FrontApi } from './api.ts'
import type { GroupReport } from './batcher.ts'
import { connectCalls, type Api } from './calls.ts'
import type { StoreProblem } from './operations.ts'

export type Engine = Awaited<ReturnType<typeof openEngine>>

export type EngineThread = EventEmitter & Pick<Worker, 'postMessage' | 'terminate'>

export interface EngineOptions {
  readonly settings: EngineSettings
  /** Another thread, or none, for tests. */
  readonly startThread?: () => EngineThread
  readonly onProblem: (problem: StoreProblem) => void
  /** What each transaction carried. */
  readonly onGroup: (report: GroupReport) => void
}

const THREAD = new URL('./thread.ts', import.meta.url)

export async function openEngine({
  settings,
  startThread = () => new Worker(THREAD),
  onProblem,
  onGroup,
}: EngineOptions) {
  const worker = startThread()
  /** A change of the vault is decided here, while the engine holds the lock on its documents. One at a time. */
  let decide: DecideChange
  const listeners: ((change: SharedChange) => void)[] = []
  const ours: FrontApi = {
    decideChange: (fresh) => decide(fresh),
    sharedChange: (change) => listeners.forEach((listener) => listener(change)),
    problem: onProblem,
    group: onGroup,
  }
  const engine = connectCalls<EngineApi & Api<never>>(worker, ours)
  let isOpen = false
  let closing: Promise<void> | undefined
  // An `error` is always followed by an `exit`.
  let death: unknown
  worker.on('error', (error) => void (death = error))
  const exited = once(worker, 'exit').catch(() => once(worker, 'exit'))
  worker.on('exit', (code) => {
    const cause = death instanceof Error ? death : new Error(`The engine ended with code ${code}.`)
    engine.fail(errorOf(cause))
    if (!isOpen) return
    isOpen = false
    onProblem({ problem: 'engine_died', message: cause.message })
  })

  /** For calls that are unanswered when the thread ends. */
  function errorOf(cause: Error): Error {
    if (isOpen) return new StoreUnavailable({ cause })
    if (closing !== undefined) return new ShuttingDown()
    return new StoreCannotOpen(`The store cannot be opened (${cause.message})`, { cause })
  }

  const names = await engine.call('open', settings).catch(async (error: unknown) => {
    await worker.terminate()
    throw error
  })
  isOpen = true
  const calls = names.map((name) => [name, (...args: never[]) => engine.call(name, ...(args as never))])
  const remote = Object.fromEntries(calls) as EngineApi
  const vaultStore: VaultStore = {
    ...remote,
    changeVault(given) {
      decide = given
      return engine.call('changeVault')
    },
  }
  /** With other replicas; undefined where one process owns the store. */
  const shared: Shared | undefined =
    settings.database.kind === 'sqlite'
      ? undefined
      : { ...remote, onChange: (listener) => void listeners.push(listener) }
  const endSoon = () => engine.notify('endWithin', CLOSE_MS.store)
  async function closeAll(): Promise<void> {
    endSoon()
    const closed = engine.call('close')
    isOpen = false
    try {
      await closed
    } finally {
      await worker.terminate()
      await exited
    }
  }
  return {
    ...remote,
    /** May come too late, and changes nothing then. */
    withdrawPost: (postId: number): void => engine.notify('withdrawPost', postId),
    store: remote as FrontStore,
    vaultStore,
    shared,
    /** From now on the store has CLOSE_MS.store: call it before the first part is closed that may wait for the store. */
    endSoon,
    /** Finishes what was asked for. */
    close: () => (closing ??= closeAll()),
  }
}
