/**
 * The engine, for what costs CPU or waits for a disk: it owns the store, prepares posts and explains events. It serves the
 * other end of the port.
 */
import { setImmediate as runAfterTurn } from 'node:timers'
import type { MessagePort } from 'node:worker_threads'
import { connectCalls, type Calls } from './calls.ts'
import type { EngineApi, EngineSettings, FrontApi, OpenedStore, StoreOptions } from './api.ts'
import { createExplain } from './explain.ts'
import { createExpressions } from './expressions.ts'
import { systemClock } from '../../clock.ts'
import { createPosts } from './posts.ts'
import { createWebhooks } from './webhooks.ts'
import { createWork } from './work.ts'

export function serveEngine(port: MessagePort): void {
  const handlers: Partial<EngineApi> = { open }
  const front = connectCalls<FrontApi>(port, handlers)

  async function open(settings: EngineSettings): Promise<(keyof EngineApi)[]> {
    const stop = new AbortController()
    let ending: NodeJS.Timeout | undefined
    const opened = await openStore(settings, front, stop.signal)
    const { store, vaultStore, shared } = opened
    const now = () => performance.now()
    // After the commits of this turn, which are scheduled at its end.
    const nextTurn = (run: () => void) => void runAfterTurn(() => runAfterTurn(run))
    const work = createWork({ now, nextTurn })
    const { maxEventAgeMs } = settings
    const expressions = createExpressions()
    const webhooks = createWebhooks({ work, expressions })
    const posts = createPosts({ store, work, webhooks, now, after: systemClock.after, maxEventAgeMs })
    Object.assign(handlers, store, vaultStore, shared)
    Object.assign(handlers, {
      takePost: (post) => posts.take(post),
      withdrawPost: (postId) => posts.withdraw(postId),
      explain: createExplain(work, webhooks, maxEventAgeMs),
      findFault: (expression) => expressions.findFault(expression),
      changeVault: () => vaultStore.changeVault((fresh) => front.call('decideChange', fresh)),
      recover: (name) => opened.recover(name),
      backUp: (request) => opened.backUp(request),
      endWithin(ms) {
        ending ??= setTimeout(() => stop.abort(new Error('The store did not answer.')), ms).unref()
      },
      async close() {
        await expressions.close()
        await opened.close()
        // After the answer has left.
        runAfterTurn(() => port.close())
      },
    } satisfies Partial<EngineApi>)
    // As main.ts does; after the answer has left.
    runAfterTurn(() => globalThis.gc?.({ type: 'major', flavor: 'last-resort' }))
    return Object.keys(handlers) as (keyof EngineApi)[]
  }
}

/** Loads the code of the used store only. */
async function openStore(
  settings: EngineSettings,
  front: Calls<FrontApi>,
  signal: AbortSignal,
): Promise<OpenedStore> {
  const { database } = settings
  const options: StoreOptions = {
    ...settings,
    wallMs: Date.now,
    signal,
    onProblem: (problem) => front.notify('problem', problem),
    onGroup: (report) => front.notify('group', report),
    onChange: (change) => front.notify('sharedChange', change),
  }
  switch (database.kind) {
    case 'sqlite': {
      const { openSqlite } = await import('../sqlite/open.ts')
      return openSqlite(database.path, options)
    }
    case 'postgres': {
      const { openPostgres } = await import('../postgres/open.ts')
      return openPostgres(database.url, options)
    }
  }
}
