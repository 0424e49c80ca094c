/** Queues that do not call, and how much of their limits accounts have left. At most a bounded number of accounts each. */
import type { PostLimiter } from '../limits/post-limiter.ts'
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Vault } from '../vault/vault.ts'
import type { Delivery } from './delivery.ts'
import { urgencyOf } from './queue-state.ts'

const SERIES_LIMIT = 1000

export function reportQueues(options: {
  readonly metrics: Metrics
  readonly vault: Vault
  readonly delivery: Delivery
  readonly callLimiter: CallLimiter
  readonly postLimiter: PostLimiter
}): void {
  const { metrics, vault, delivery, callLimiter, postLimiter } = options
  const adAccountIds = () => vault.accounts().map(({ adAccountId }) => adAccountId)

  metrics.labelledGauge({
    name: 'pinrelay_queue_stopped',
    help: '1 for each queue that does not call, with the reason: its status in GET /accounts. At most 1,000, those that need a person first.',
    labels: ['ad_account_id', 'queue', 'status'],
    read: () =>
      delivery
        .queues()
        .filter(({ status, adAccountId }) => status !== 'open' && vault.account(adAccountId) !== undefined)
        .toSorted((one, other) => urgencyOf(other.status) - urgencyOf(one.status))
        .slice(0, SERIES_LIMIT)
        .map(({ adAccountId, isTest, status }) => ({
          labels: { ad_account_id: adAccountId, queue: isTest ? 'test' : 'live', status },
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

/** Without those that have no bucket yet. */
function fewest(
  adAccountIds: readonly string[],
  levelOf: (adAccountId: string) => number | undefined,
): ReadonlyMap<string, number> {
  const levels = adAccountIds.flatMap((adAccountId) => {
    const level = levelOf(adAccountId)
    return level === undefined ? [] : [[adAccountId, level] as const]
  })
  return new Map(levels.toSorted(([, one], [, other]) => one - other).slice(0, SERIES_LIMIT))
}
