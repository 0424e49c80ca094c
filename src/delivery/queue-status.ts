/** The statuses of queues and accounts that operators see: how urgent each is, what it means, and what to do about it. */
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { PostLimiter } from '../limits/post-limiter.ts'
import type { QueueKey } from '../store/store.ts'
import { needsConsent } from '../vault/token-watch.ts'
import type { OpenReason } from './breakers.ts'
import type { Delivery } from './delivery.ts'
import type { DeliveryOptions } from './options.ts'
import type { FailedCalls, Halt, Queue } from './queue.ts'
import { stopOf, type Conditions } from './scheduler.ts'

/** Of a queue, the most urgent one that applies. `reauthorize`: the token and the grant that it came from are refused. */
export type QueueStatus = 'sending' | 'asking' | Halt | 'pinterest_down' | 'reauthorize' | OpenReason
/** Of an account as a whole. */
export type AccountStatus = QueueStatus | 'over_share' | 'no_token'

export const ACTIONS = ['retry', 'resume', 'token', 'consent', 'verify'] as const

/** What operators see of a queue. */
export interface QueueState extends QueueKey {
  readonly status: QueueStatus
  /** When the relay tries again by itself: milliseconds from now; undefined where only slots and the call limiter hold it up. */
  readonly nextTryMs: number | undefined
  readonly callsInFlight: number
  /** Undefined: the last call was taken, or none has ended since the process began. */
  readonly failedCalls: FailedCalls | undefined
}

/** Undefined: its account is not registered, and nothing waits. */
export function stateOf(
  queue: Queue,
  conditions: Conditions,
  vault: DeliveryOptions['vault'],
): QueueState | undefined {
  if (conditions.halt === 'no_account' && !queue.hasWork) return undefined
  const isAsking = queue.isAsking || queue.isCanaryOut
  const stop = stopOf(queue, conditions) ?? (isAsking ? undefined : restOf(queue))
  const inMs = (stop?.untilMs ?? Infinity) - conditions.nowMs
  const isRefused = stop?.reason === 'unauthorized' && needsConsent(vault, queue.key.adAccountId)
  return {
    ...queue.key,
    status: isRefused ? 'reauthorize' : (stop?.reason ?? (isAsking ? 'asking' : 'sending')),
    nextTryMs: inMs < Infinity ? Math.max(0, Math.round(inMs)) : undefined,
    callsInFlight: queue.calls.size,
    failedCalls: queue.failedCalls,
  }
}

/** All slices here wait after failed calls, too few to open the breaker. */
function restOf({ hasReady, calls, restsUntilMs: untilMs }: Queue) {
  const isResting = untilMs < Infinity && !hasReady && calls.size === 0
  return isResting ? { reason: 'failing' as const, untilMs } : undefined
}

export interface StatusFacts {
  /** From 2 a person has to act. 0: calls leave; 1: the relay tries again by itself; 2: an operator paused it; 3: it fails. */
  readonly urgency: 0 | 1 | 2 | 3
  readonly means: string
  /** What the console offers a button for; null where there is none. */
  readonly action: (typeof ACTIONS)[number] | null
  /** What to do, in words; null where nothing has to be done. */
  readonly remedy: string | null
}

/** The relay tries again by itself. */
const passing = (means: string, action: StatusFacts['action'] = null): StatusFacts => {
  return { urgency: 1, means, action, remedy: null }
}

export const STATUSES: Readonly<Record<AccountStatus, StatusFacts>> = {
  sending: { urgency: 0, means: 'Calls leave.', action: null, remedy: null },
  asking: passing(
    'Pinterest refused a call. The canary, an event of the relay itself, tests whether Pinterest refuses the account.',
  ),
  failing: passing('Pinterest does not answer. The relay tries again with growing pauses.', 'retry'),
  pinterest_down: passing('Pinterest says that it is down. One trial call leaves after each pause.', 'retry'),
  rate_limited: passing(
    'Pinterest answered 429. The queue waits as long as Pinterest asked for. At every third 429 a canary tests whether it is about the account.',
  ),
  paused: {
    urgency: 2,
    means: 'Paused by an operator. Posts are still taken.',
    action: 'resume',
    remedy: 'account resume',
  },
  unauthorized: {
    urgency: 3,
    means: 'Pinterest does not know the token.',
    action: 'token',
    remedy: 'account verify shows why; account set takes a new token',
  },
  forbidden: {
    urgency: 3,
    means: 'The token may not send for this account, or a firewall refuses the relay.',
    action: 'token',
    remedy:
      "account verify shows the answer; account set takes a token that may send for this account; if the answer is a firewall's, have it let the relay pass",
  },
  reauthorize: {
    urgency: 3,
    means: 'The token and its grant are refused.',
    action: 'consent',
    remedy: 'open /accounts/{id}/authorize of the admin port in a browser, and consent',
  },
  wrong_address: {
    urgency: 3,
    means: 'What answers at PINTEREST_API_URL is not Pinterest.',
    action: 'verify',
    remedy: 'correct PINTEREST_API_URL of the relay',
  },
  rejects_everything: {
    urgency: 3,
    means:
      'Pinterest refuses all that is sent for this account, also the canary. The token is not the reason.',
    action: 'verify',
    remedy: 'account verify shows what Pinterest says; correct that in the ad account, or ask Pinterest',
  },
  no_account: {
    urgency: 3,
    means: 'Events wait for an account that is not registered: it was removed, or a source still names it.',
    action: 'token',
    remedy: 'account set registers it, and they are sent',
  },
  no_token: {
    urgency: 3,
    means: 'The account has no token yet: its grant needs consent.',
    action: 'consent',
    remedy: 'consent at /accounts/{id}/authorize of the admin port, or account set gives a token',
  },
  over_share: {
    urgency: 3,
    means: 'Its posts get 503: its queued events fill its share of the store.',
    action: null,
    remedy: 'repair its queues (account verify, account set, account resume), or raise STORE_LIMIT_BYTES',
  },
}

/** Queues that do not call, and how much of their limits accounts have left: collected at scrape time. */
export function reportQueues(
  { metrics, vault, callLimiter }: Pick<DeliveryOptions, 'metrics' | 'vault' | 'callLimiter'>,
  delivery: Delivery,
  postLimiter: PostLimiter,
): void {
  /** The fewest first, without accounts that have no bucket yet. */
  function levels(limiter: Pick<CallLimiter | PostLimiter, 'level'>) {
    return vault
      .accounts()
      .flatMap(({ adAccountId }) => {
        const level = limiter.level(adAccountId)
        return level === undefined ? [] : [[{ ad_account_id: adAccountId }, level] as const]
      })
      .toSorted(([, one], [, other]) => one - other)
  }

  metrics.collect('queueStopped', () =>
    delivery
      .queues()
      .map((state) => ({ ...state, urgency: STATUSES[state.status].urgency }))
      .filter(({ urgency }) => urgency > 0)
      .toSorted((one, other) => other.urgency - one.urgency)
      .map(({ adAccountId, isTest, status, urgency }) => {
        const queue = isTest ? 'test' : 'live'
        return [{ ad_account_id: adAccountId, queue, status, urgency: String(urgency) }, 1]
      }),
  )
  metrics.collect('callLimiterAvailable', () => levels(callLimiter))
  metrics.collect('postLimiterAvailable', () => levels(postLimiter))
}
