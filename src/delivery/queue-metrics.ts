/** Queues that do not call, and how much of their limits accounts have left: collected at scrape time. */
import type { PostLimiter } from '../limits/post-limiter.ts'
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Vault } from '../vault/vault.ts'
import type { Delivery } from './delivery.ts'
import { STATUSES } from './queue-status.ts'

export function reportQueues(options: {
  readonly metrics: Metrics
  readonly vault: Vault
  readonly delivery: Delivery
  readonly callLimiter: CallLimiter
  readonly postLimiter: PostLimiter
}): void {
  const { metrics, vault, delivery, callLimiter, postLimiter } = options

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
      .filter(({ urgency, adAccountId }) => urgency > 0 && vault.account(adAccountId) !== undefined)
      .toSorted((one, other) => other.urgency - one.urgency)
      .map(({ adAccountId, isTest, status, urgency }) => {
        const queue = isTest ? 'test' : 'live'
        return [{ ad_account_id: adAccountId, queue, status, urgency: String(urgency) }, 1]
      }),
  )
  metrics.collect('callLimiterAvailable', () => levels(callLimiter))
  metrics.collect('postLimiterAvailable', () => levels(postLimiter))
}
