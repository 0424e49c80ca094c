/**
 * The calls of each ad account: the limit, and the numbers against which tests check the relay's promises. The
 * limit counts the calls that it let through; `maxCallsInWindow` counts every call that arrived, also those that were
 * refused, reset or never answered, since that is what the relay must bound.
 */
import { createRollingLog } from './rolling-log.ts'
import type { RollingLog } from './rolling-log.ts'

export interface AccountStats {
  readonly calls: number
  readonly testCalls: number
  /** Calls over the limit, answered with 429. */
  readonly throttled: number
  readonly eventsProcessed: number
  readonly eventsFailed: number
  /** The most calls that arrived in any rolling window so far. */
  readonly maxCallsInWindow: number
}

export interface Accounts {
  countArrival(adAccountId: string, isTest: boolean, nowMs: number): void
  /** Takes one call from the limit, or says how long until there is room for one. */
  admit(adAccountId: string, nowMs: number): { readonly retryAfterMs: number } | undefined
  countResults(adAccountId: string, processed: number, failed: number): void
  stats(): Readonly<Record<string, AccountStats>>
  clear(): void
}

export interface LimitOptions {
  /** 0: no limit. */
  readonly callsPerWindow: number
  readonly windowMs: number
}

export function createAccounts({ callsPerWindow, windowMs }: LimitOptions): Accounts {
  const accounts = new Map<string, Account>()

  function open(adAccountId: string): Account {
    let account = accounts.get(adAccountId)
    if (account === undefined) {
      account = {
        arrivals: createRollingLog(windowMs, MAX_ARRIVALS_KEPT),
        admitted: createRollingLog(windowMs, Math.max(callsPerWindow, 1)),
        stats: { ...NOTHING },
      }
      accounts.set(adAccountId, account)
    }
    return account
  }

  return {
    countArrival(adAccountId, isTest, nowMs) {
      const { arrivals, stats } = open(adAccountId)
      stats.calls += 1
      if (isTest) stats.testCalls += 1
      arrivals.add(nowMs)
      stats.maxCallsInWindow = Math.max(stats.maxCallsInWindow, arrivals.count(nowMs))
    },
    admit(adAccountId, nowMs) {
      if (callsPerWindow === 0) return undefined
      const { admitted, stats } = open(adAccountId)
      if (admitted.count(nowMs) < callsPerWindow) {
        admitted.add(nowMs)
        return undefined
      }
      stats.throttled += 1
      return { retryAfterMs: admitted.oldestMs()! + windowMs - nowMs }
    },
    countResults(adAccountId, processed, failed) {
      const { stats } = open(adAccountId)
      stats.eventsProcessed += processed
      stats.eventsFailed += failed
    },
    stats: () => Object.fromEntries([...accounts].map(([id, { stats }]) => [id, { ...stats }])),
    clear: () => accounts.clear(),
  }
}

/** 35,000 calls a second for a minute; 16 MiB. Beyond it `maxCallsInWindow` stays at this number. */
const MAX_ARRIVALS_KEPT = 2 ** 21

const NOTHING = {
  calls: 0,
  testCalls: 0,
  throttled: 0,
  eventsProcessed: 0,
  eventsFailed: 0,
  maxCallsInWindow: 0,
}

interface Account {
  readonly arrivals: RollingLog
  readonly admitted: RollingLog
  readonly stats: { -readonly [Name in keyof AccountStats]: AccountStats[Name] }
}
