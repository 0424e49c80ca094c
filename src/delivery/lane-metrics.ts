/** Lanes that do not call, and how much of their limits accounts have left. At most a bounded number of accounts each. */
import type { Door } from '../budget/door.ts'
import type { Guard } from '../budget/guard.ts'
import type { Metrics } from '../metrics.ts'
import type { Vault } from '../vault/vault.ts'
import type { Delivery } from './delivery.ts'
import { urgencyOf } from './lane-state.ts'

const SERIES_LIMIT = 1000

export function reportLanes(options: {
  readonly metrics: Metrics
  readonly vault: Vault
  readonly delivery: Delivery
  readonly guard: Guard
  readonly door: Door
}): void {
  const { metrics, vault, delivery, guard, door } = options
  const adAccountIds = () => vault.accounts().map(({ adAccountId }) => adAccountId)

  metrics.labelledGauge({
    name: 'pinrelay_lane_stopped',
    help: '1 for each lane that does not call, with the reason: its status in GET /accounts. At most 1,000, those that need a person first.',
    labels: ['ad_account_id', 'lane', 'status'],
    read: () =>
      delivery
        .lanes()
        .filter(({ status, adAccountId }) => status !== 'open' && vault.account(adAccountId) !== undefined)
        .toSorted((one, other) => urgencyOf(other.status) - urgencyOf(one.status))
        .slice(0, SERIES_LIMIT)
        .map(({ adAccountId, isTest, status }) => ({
          labels: { ad_account_id: adAccountId, lane: isTest ? 'test' : 'live', status },
          value: 1,
        })),
  })
  metrics.accountGauge(
    'pinrelay_guard_tokens',
    'Calls to Pinterest that an account could make at once, of the 1,000 accounts with the fewest.',
    () => fewest(adAccountIds(), (adAccountId) => guard.level(adAccountId)),
  )
  metrics.accountGauge(
    'pinrelay_door_tokens',
    'Posts of an account that would pass at once, of the 1,000 accounts with the fewest.',
    () => fewest(adAccountIds(), (adAccountId) => door.level(adAccountId)),
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
