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

  metrics.labelledGauge({
    name: 'pinrelay_queue_stopped',
    help: '1 for each queue that does not call, with its status and urgency as in GET /accounts (3: a person has to act). At most 1,000, the most urgent first.',
    labels: ['ad_account_id', 'queue', 'status', 'urgency'],
    read: () =>
      delivery
        .queues()
        .filter(
          ({ status, adAccountId }) =>
            STATUSES[status].urgency > 0 && vault.account(adAccountId) !== undefined,
        )
        .toSorted((one, other) => STATUSES[other.status].urgency - STATUSES[one.status].urgency)
        .slice(0, SERIES_LIMIT)
        .map(({ adAccountId, isTest, status }) => ({
          labels: {
            ad_account_id: adAccountId,
            queue: isTest ? 'test' : 'live',
            status,
            urgency: String(STATUSES[status].urgency),
          },
          value: 1,
        })),
  })
  metrics.accountGauge(
    'pinrelay_call_limiter_available',
    'Calls to Pinterest that an account could make at once, of the 1,000 accounts with the fewest.',
    () => fewest(adAccountIds(), (adAccountId) => callLimiter.level(adAccountId)),
  )
  metrics.accountGauge(
    'pinrelay_post_limiter_available',
    'Posts of an account that would pass at once, of the 1,000 accounts with the fewest.',
    () => fewest(adAccountIds(), (adAccountId) => postLimiter.level(adAccountId)),
  )
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
