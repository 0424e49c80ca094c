/**
 * Whether posts can be taken: asked by every post before its body is read, and by `GET /readyz`. Pinterest being down
 * does not make the relay unready: taking events then is what it is for. Nor does an account that has its share of the
 * store queued: its posts alone are refused.
 */
import { StoreUnavailable } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { Store } from '../store/store.ts'

export interface Readiness {
  /** A word for the first thing that is wrong. */
  problem(): 'shutting_down' | 'store_unavailable' | 'store_full' | undefined
  /** Accounts whose posts alone are refused. */
  overShare(): ReadonlySet<string>
  /** Throws STORE_UNAVAILABLE, where this account may not post. A relay that shuts down takes posts as long as they reach it. */
  check(adAccountId: string): void
  isShuttingDown(): boolean
  /** TimeSlices `/readyz` off. */
  announceShutdown(): void
  close(): Promise<void>
}

const LOOK_EVERY_MS = 1000
const TOLD_EVERY_MS = 60_000

export function createReadiness(options: {
  readonly store: Store
  /** Outcomes cannot be written either. */
  readonly isStuck: () => boolean
  readonly clock: Clock
  readonly log: Log
}): Readiness {
  const { store, isStuck, clock, log } = options
  let storeProblem: 'store_unavailable' | 'store_full' | undefined
  let overShare: ReadonlySet<string> = new Set()
  /** When the log last told it of an account. */
  const toldAtMs = new Map<string, number>()
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
      const { isFull, isWritable, overShare: accounts } = await store.size()
      noteOverShare(accounts)
      if (isFull) return 'store_full'
      return isWritable && !isStuck() ? undefined : 'store_unavailable'
    } catch {
      return 'store_unavailable'
    }
  }

  /** An account may come and go with every batch that is acknowledged: told once a minute. */
  function noteOverShare(accounts: readonly string[]): void {
    const nowMs = clock.monotonicMs()
    for (const [adAccountId, atMs] of toldAtMs)
      if (nowMs - atMs >= TOLD_EVERY_MS) toldAtMs.delete(adAccountId)
    for (const adAccountId of accounts) {
      if (toldAtMs.has(adAccountId)) continue
      toldAtMs.set(adAccountId, nowMs)
      log.error(
        { ad_account_id: adAccountId, reason: 'over_share' },
        'posts of an account are refused: its share of the store is full of events that wait',
      )
    }
    overShare = new Set(accounts)
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
    overShare: () => overShare,
    check(adAccountId) {
      if (storeProblem || overShare.has(adAccountId)) throw new StoreUnavailable()
    },
    isShuttingDown: () => isAnnounced,
    announceShutdown: () => void (isAnnounced = true),
    async close() {
      await looking
      cancel()
    },
  }
}
