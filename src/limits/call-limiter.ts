/**
 * The call limiter: the limit on calls per ad account, the relay's promise to Pinterest.
 *
 * Its bucket holds CALL_BURST and refills at CALLS_PER_MINUTE − CALL_BURST, so that no rolling minute of leaving calls
 * can exceed CALLS_PER_MINUTE. A call in flight still occupies its place in the bucket: it may reach Pinterest late,
 * together with calls that left after it, and the promise is about what arrives there. A bucket begins empty, since
 * nobody knows what a process before this one sent.
 */
import { emptyBucket, refill, take, tokensIn, type Bucket } from './bucket.ts'
import type { Settings } from '../settings.ts'

export interface CallLimiterOptions {
  readonly settings: Pick<Settings, 'CALLS_PER_MINUTE' | 'CALL_BURST'>
  /** Monotonic milliseconds. */
  readonly now: () => number
}

export interface CallLimiter {
  /** 0: the call may leave, and `finished` must follow. Otherwise the milliseconds to wait before asking again. */
  take(adAccountId: string): number
  /** The call was answered, or its connection is gone. */
  finished(adAccountId: string): void
  /** Calls that could leave now; undefined for an account that has not called yet. */
  level(adAccountId: string): number | undefined
  /** Called when an account may call sooner than `take` answered. */
  onRefill(listener: (adAccountId: string) => void): void
}

interface AccountBudget {
  bucket: Bucket
  inFlight: number
}

export function createCallLimiter({ settings, now }: CallLimiterOptions): CallLimiter {
  const { CALLS_PER_MINUTE: callsPerMinute, CALL_BURST: callBurst } = settings
  const startedMs = now()
  const budgets = new Map<string, AccountBudget>()

  function budgetOf(adAccountId: string): AccountBudget {
    let budget = budgets.get(adAccountId)
    if (!budget) {
      // Empty since the start, not since now: before its first call an account has sent nothing since then either.
      budget = { bucket: emptyBucket(callBurst, callsPerMinute - callBurst, startedMs), inFlight: 0 }
      budgets.set(adAccountId, budget)
    }
    return budget
  }

  /** The bucket without the places that calls in flight occupy. */
  function roomOf({ bucket, inFlight }: AccountBudget): Bucket {
    return { ...bucket, capacity: callBurst - inFlight }
  }

  return {
    take(adAccountId) {
      const budget = budgetOf(adAccountId)
      const { bucket, isTaken, waitMs } = take(roomOf(budget), 1, now())
      budget.bucket = bucket
      budget.inFlight += Number(isTaken)
      return waitMs
    },
    finished(adAccountId) {
      const budget = budgetOf(adAccountId)
      // Refilled at the old capacity first: until now only what was free could refill.
      budget.bucket = refill(roomOf(budget), now())
      budget.inFlight = Math.max(0, budget.inFlight - 1)
    },
    // What `take` answers is exact here.
    onRefill: () => {},
    level(adAccountId) {
      const budget = budgets.get(adAccountId)
      return budget && tokensIn(roomOf(budget), now())
    },
  }
}
