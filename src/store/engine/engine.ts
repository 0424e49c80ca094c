/**
 * The front's side of the engine: starts its thread, and answers with what the relay uses of it. Opening rejects with the
 * errors of the store's opening; whatever the front asks for later, with STORE_UNAVAILABLE once the thread has died, and with
 * SHUTTING_DOWN once it has closed.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { ShuttingDown, StoreCannotOpen, StoreUnavailable } from '../../errors.ts'
import type { DecideChange, VaultChange, VaultStore } from '../../vault/vault-store.ts'
import type { Shared, SharedChange } from '../shared.ts'
import type { FrontStore } from '../store.ts'
import { FORWARDED, type EngineApi, type EngineSettings, type FrontApi } from './api.ts'
import type { GroupReport } from './batcher.ts'
import { connectCalls, type Api, type Calls } from './calls.ts'
import type { StoreProblem } from './operations.ts'

export interface Engine extends Pick<EngineApi, 'takePost' | 'explain' | 'findFault' | 'recover' | 'backUp'> {
  /** May come too late, and changes nothing then. */
  withdrawPost(postId: number): void
  readonly store: FrontStore
  readonly vaultStore: VaultStore
  /** With other replicas; undefined where one process owns the store. */
  readonly shared: Shared | undefined
  /** Finishes what was asked for. */
  close(): Promise<void>
}

export interface EngineOptions {
  readonly settings: EngineSettings
  /** Another thread, for tests. */
  readonly thread?: URL
  readonly onProblem: (problem: StoreProblem) => void
  /** What each transaction carried. */
  readonly onGroup: (report: GroupReport) => void
}

const THREAD = new URL('./thread.ts', import.meta.url)

export async function openEngine({
  settings,
  thread = THREAD,
  onProblem,
  onGroup,
}: EngineOptions): Promise<Engine> {
  const worker = new Worker(thread)
  const changes = createVaultChanges()
  const listeners: ((change: SharedChange) => void)[] = []
  const ours: FrontApi = {
    decideChange: changes.decide,
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

  /** Of whatever is still asked for, once the thread has ended. */
  function errorOf(cause: Error): Error {
    if (isOpen) return new StoreUnavailable({ cause })
    if (closing !== undefined) return new ShuttingDown()
    return new StoreCannotOpen(`The store cannot be opened (${cause.message})`, { cause })
  }

  const { isShared } = await engine.call('open', settings).catch(async (error: unknown) => {
    await worker.terminate()
    throw error
  })
  isOpen = true
  async function closeAll(): Promise<void> {
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
    takePost: (post) => engine.call('takePost', post),
    withdrawPost: (postId) => engine.tell('withdrawPost', postId),
    explain: (request) => engine.call('explain', request),
    findFault: (expression) => engine.call('findFault', expression),
    recover: (name) => engine.call('recover', name),
    backUp: (request) => engine.call('backUp', request),
    store: forward(engine, FORWARDED.store),
    vaultStore: {
      ...forward(engine, FORWARDED.vaultStore),
      changeVault: (decide) => changes.change(decide, (changeId) => engine.call('changeVault', changeId)),
    },
    shared: isShared
      ? { ...forward(engine, FORWARDED.shared), onChange: (listener) => void listeners.push(listener) }
      : undefined,
    close: () => (closing ??= closeAll()),
  }
}

function forward<Name extends keyof EngineApi>(
  engine: Calls<EngineApi>,
  names: readonly Name[],
): Pick<EngineApi, Name> {
  return Object.fromEntries(
    names.map((name) => [name, (...args: never[]) => engine.call(name, ...(args as never))]),
  ) as unknown as Pick<EngineApi, Name>
}

/** A change is decided here, where the vault is, while the engine holds the lock on its documents. */
function createVaultChanges() {
  const deciding = new Map<number, DecideChange>()
  let lastId = 0
  return {
    decide: (changeId: number, fresh: Parameters<DecideChange>[0]) =>
      deciding.get(changeId)!(fresh) as VaultChange,
    async change(decide: DecideChange, run: (changeId: number) => Promise<void>): Promise<void> {
      const changeId = ++lastId
      // What it throws has to reach the caller as it is.
      let refusal: { readonly error: unknown } | undefined
      deciding.set(changeId, async (fresh) => {
        try {
          return await decide(fresh)
        } catch (error) {
          refusal = { error }
          return { put: [], remove: [] }
        }
      })
      try {
        await run(changeId)
      } finally {
        deciding.delete(changeId)
      }
      if (refusal !== undefined) throw refusal.error
    },
  }
}
