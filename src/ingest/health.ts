/**
 * Whether posts can be taken: asked for every post before its body is read, and by `GET /readyz`. Pinterest being down does not
 * make the relay unready: then it takes events and keeps them. An account that has its share of the store queued does not
 * either: its posts alone are refused.
 */
import { StoreUnavailable } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { FrontStore } from '../store/store.ts'

export type Readiness = ReturnType<typeof createReadiness>
type StoreProblem = 'store_unavailable' | 'store_stalled' | 'store_full'

const CHECK_EVERY_MS = 1000
/** A sync may never return: of a dead disk, or a file server that is away. No slow disk takes as long. */
const STALLED_MS = 10_000
const LOG_EVERY_MS = 60_000

export function createReadiness(options: {
  readonly store: FrontStore
  /** Outcomes cannot be written either. */
  readonly isStuck: () => boolean
  readonly clock: Clock
  readonly log: Log
}) {
  const { store, isStuck, clock, log } = options
  let storeProblem: StoreProblem | undefined
  let overShare: ReadonlySet<string> = new Set()
  /** When the last log line about an account was written. */
  const loggedAtMs = new Map<string, number>()
  let isShuttingDown = false
  let cancel = () => {}
  let answeredAtMs = clock.wallMs()
  let onCheck = (_isStalled: boolean) => {}
  let checking = checkAgain()

  async function checkAgain(): Promise<void> {
    const cancelStall = clock.after(STALLED_MS, () => {
      become('store_stalled')
      onCheck(true)
    })
    const problem = await findProblem()
    answeredAtMs = clock.wallMs()
    cancelStall()
    become(problem)
    onCheck(false)
    cancel = clock.after(CHECK_EVERY_MS, () => {
      checking = checkAgain()
    })
  }

  function become(problem: StoreProblem | undefined): void {
    const before = storeProblem
    storeProblem = problem
    if (problem !== undefined && before !== problem) log.error({ reason: problem }, 'posts are refused')
    if (problem === undefined && before !== undefined) log.warn({}, 'posts are taken again')
  }

  async function findProblem(): Promise<StoreProblem | undefined> {
    try {
      // Between two checks the store itself refuses what would pass its watermark.
      const size = await store.size()
      noteOverShare(size.overShare)
      if (size.isFull) return 'store_full'
      return size.isWritable && !isStuck() ? undefined : 'store_unavailable'
    } catch {
      return 'store_unavailable'
    }
  }

  /** An account may enter and leave this state with every acknowledged batch: logged once a minute. */
  function noteOverShare(accounts: readonly string[]): void {
    const nowMs = clock.monotonicMs()
    for (const [adAccountId, atMs] of loggedAtMs)
      if (nowMs - atMs >= LOG_EVERY_MS) loggedAtMs.delete(adAccountId)
    for (const adAccountId of accounts) {
      if (loggedAtMs.has(adAccountId)) continue
      loggedAtMs.set(adAccountId, nowMs)
      log.error(
        { ad_account_id: adAccountId, reason: 'over_share' },
        'posts of an account are refused: its share of the store is full of events that wait',
      )
    }
    overShare = new Set(accounts)
  }

  return {
    /** A word for the first thing that is wrong. */
    problem: () => (isShuttingDown ? 'shutting_down' : storeProblem),
    /** Accounts whose posts alone are refused. */
    overShare: () => overShare,
    /** Throws STORE_UNAVAILABLE where this account may not post. A relay that shuts down takes posts as long as they reach it. */
    check(adAccountId: string): void {
      if (storeProblem || overShare.has(adAccountId)) throw new StoreUnavailable()
    },
    isShuttingDown: () => isShuttingDown,
    /** Calls back once a second, and when the store no longer answers. */
    onCheck: (listener: typeof onCheck) => void (onCheck = listener),
    /** When the store last answered, since the epoch. */
    answeredAtMs: () => answeredAtMs,
    /** From now on `/readyz` answers 503. */
    announceShutdown: () => void (isShuttingDown = true),
    async close(): Promise<void> {
      if (storeProblem !== 'store_stalled') await checking
      cancel()
    },
  }
}
