/** Queues that do not call, and how much of their limits accounts have left: collected at scrape time. */
import type { PostLimiter } from '../limits/post-limiter.ts'
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Vault } from '../vault/vault.ts'
import type { Delivery } from './delivery.ts'
import { urgencyOf } from './queue-state.ts'

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
      .filter(({ status, adAccountId }) => status !== 'open' && vault.account(adAccountId) !== undefined)
      .toSorted((one, other) => urgencyOf(other.status) - urgencyOf(one.status))
      .map(({ adAccountId, isTest, status }) => [
        { ad_account_id: adAccountId, queue: isTest ? 'test' : 'live', status },
        1,
      ]),
  )
  metrics.collect('callLimiterAvailable', () => levels(callLimiter))
  metrics.collect('postLimiterAvailable', () => levels(postLimiter))
}
