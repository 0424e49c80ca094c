/**
 * Whether posts can be taken: asked by every post before its body is read, and by `GET /readyz`. Pinterest being down
 * does not make the relay unready: taking events then is what it is for.
 */
import { StoreUnavailable } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'

export interface Readiness {
  /** A word for the first thing that is wrong. */
  problem(): 'shutting_down' | 'store_unavailable' | 'store_full' | undefined
  /** Throws STORE_UNAVAILABLE. A relay that shuts down takes posts as long as they reach it. */
  check(): void
  isShuttingDown(): boolean
  /** Turns `/readyz` off. */
  announceShutdown(): void
  close(): Promise<void>
}

const LOOK_EVERY_MS = 1000

export function createReadiness(options: {
  readonly store: Store
  /** Verdicts cannot be written either. */
  readonly isStuck: () => boolean
  readonly clock: Clock
  readonly log: Log
}): Readiness {
  const { store, isStuck, clock, log } = options
  let storeProblem: 'store_unavailable' | 'store_full' | undefined
  let isAnnounced = false
  let looking: Promise<void> = Promise.resolve()
  let cancel = () => {}

  async function look(): Promise<void> {
    const before = storeProblem
    storeProblem = await findProblem()
    if (storeProblem === before) return
    if (storeProblem === undefined) log.warn({}, 'posts are taken again')
    else log.error({ reason: storeProblem }, 'posts are refused')
  }

  async function findProblem(): Promise<'store_unavailable' | 'store_full' | undefined> {
    try {
      // Between two looks the store itself refuses what would pass its watermark.
      const { isFull } = await store.size()
      if (isFull) return 'store_full'
      return isStuck() ? 'store_unavailable' : undefined
    } catch {
      return 'store_unavailable'
    }
  }

  function lookAgain(): void {
    looking = look()
    void looking.then(() => {
      cancel = clock.after(LOOK_EVERY_MS, lookAgain)
    })
  }
  lookAgain()

  return {
    problem: () => (isAnnounced ? 'shutting_down' : storeProblem),
    check() {
      if (storeProblem) throw new StoreUnavailable()
    },
    isShuttingDown: () => isAnnounced,
    announceShutdown: () => void (isAnnounced = true),
    async close() {
      await looking
      cancel()
    },
  }
}
