/**
 * Runs the expressions of custom sources, each source's in a thread of its own: an endless or memory-hungry expression affects
 * no other source. A thread starts with a source's first webhook and ends when idle.
 */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createSequence } from '../../clock.ts'
import { ShuttingDown, TooBusy } from '../../errors.ts'
import type { ExpressionRequest } from '../../sources/expression-thread.ts'
import { EXPRESSION_STOPPED, type MappedPost, type Webhook } from '../../sources/source.ts'

/** Rejects with TOO_BUSY or SHUTTING_DOWN where it could not be run: the webhook is to be sent again. */
export type Expressions = ReturnType<typeof createExpressions>

const THREAD = new URL('../../sources/expression-thread.ts', import.meta.url)
/** CPU time of one webhook, however busy the machine is. */
const MOST_CPU_US = 1_000_000
const LOOK_MS = 100
const IDLE_MS = 60_000
const LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 }

export function createExpressions({ file = THREAD, mostCpuUs = MOST_CPU_US } = {}) {
  const threads = new Map<string, ReturnType<typeof createThread>>()
  function threadOf(sourceId: string) {
    const thread = threads.get(sourceId) ?? createThread(file, mostCpuUs, () => void threads.delete(sourceId))
    threads.set(sourceId, thread)
    return thread
  }
  return {
    async map(sourceId: string, { options, headers }: Webhook, payload: Uint8Array): Promise<MappedPost> {
      const answer = await threadOf(`source ${sourceId}`).ask({ webhook: { options, headers }, payload })
      return answer === STOPPED
        ? { status: 'invalid', reason: 'mapping_failed', message: EXPRESSION_STOPPED }
        : (answer as MappedPost)
    },
    /** What is wrong with an expression; undefined where it can be read. */
    async findFault(expression: string): Promise<string | undefined> {
      const answer = await threadOf('check').ask({ expression })
      return answer === STOPPED ? 'it took too long' : (answer as string | undefined)
    },
    async close(): Promise<void> {
      await Promise.all(Array.from(threads.values(), (thread) => thread.end()))
    },
  }
}

const STOPPED = Symbol('stopped')

/** `onEnd`: the thread was idle and takes no more requests. */
function createThread(file: URL, mostCpuUs: number, onEnd: () => void) {
  let worker: Worker | undefined
  let isEnded = false
  let idle: NodeJS.Timeout | undefined
  const { run } = createSequence()

  async function end(): Promise<void> {
    clearTimeout(idle)
    isEnded = true
    onEnd()
    await worker?.terminate()
  }

  async function ask(request: ExpressionRequest): Promise<unknown> {
    clearTimeout(idle)
    if (isEnded) throw new ShuttingDown()
    // It may die between two webhooks.
    worker ??= (await start(file)).once('exit', () => void (worker = undefined))
    if (isEnded) {
      await worker.terminate()
      throw new ShuttingDown()
    }
    const done = new AbortController()
    const { signal } = done
    let answer: unknown = STOPPED
    try {
      const before = await worker.cpuUsage()
      worker.postMessage(request, [])
      answer = await Promise.race([
        once(worker, 'message', { signal }).then(([value]: unknown[]) => value),
        once(worker, 'exit', { signal }).then(() => STOPPED),
        spent(worker, { before, mostCpuUs, signal }),
      ])
    } catch {
      // The thread has run out of memory.
    }
    done.abort()
    if (isEnded) throw new ShuttingDown()
    if (answer === STOPPED) {
      await worker?.terminate()
      worker = undefined
    }
    idle = setTimeout(() => void end(), IDLE_MS).unref()
    return answer
  }

  return {
    end,
    ask: (request: ExpressionRequest) => run(() => ask(request)),
  }
}

interface Allowance {
  readonly before: NodeJS.CpuUsage
  readonly mostCpuUs: number
  readonly signal: AbortSignal
}

async function spent(worker: Worker, { before, mostCpuUs, signal }: Allowance): Promise<typeof STOPPED> {
  for (;;) {
    await delay(LOOK_MS, undefined, { signal })
    const { user, system } = await worker.cpuUsage(before)
    if (user + system > mostCpuUs) return STOPPED
  }
}

/** Resolves when the thread has loaded its code. Rejects with TOO_BUSY when none can be started. */
async function start(file: URL): Promise<Worker> {
  try {
    const worker = new Worker(file, { env: {}, resourceLimits: LIMITS })
    // Without a listener an error would end the process.
    worker.on('error', () => undefined)
    const ended = once(worker, 'exit').then(([code]: unknown[]) => {
      throw new Error(`exit ${String(code)}`)
    })
    await Promise.race([once(worker, 'message'), ended])
    return worker
  } catch (cause) {
    throw new TooBusy({ cause })
  }
}
