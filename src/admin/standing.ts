/**
 * Accounts that need a person now, the one with the earliest deadline first. Not those that a person paused: somebody knows of
 * them.
 */
import { Type } from 'typebox'
import { STATUSES, type AccountStatus } from '../delivery/queue-status.ts'
import { ON_TIME_S, type QueueKey } from '../store/store.ts'
import type { Account } from '../vault/vault.ts'
import { problemsOf } from './account-view.ts'
import { accountStatus, AdAccountId, closed, orNull, Time } from './answers.ts'
import type { AdminOptions } from './options.ts'

export const StandingAccount = Type.Object(
  {
    ad_account_id: AdAccountId,
    label: Type.String(),
    ...accountStatus,
    offline_at: orNull(Time),
    expires_at: orNull(Time),
  },
  closed,
)

export interface QueueNow {
  readonly key: QueueKey
  readonly status: AccountStatus
  /** In seconds since the epoch; undefined when nothing waits. */
  readonly oldestEventTimeS?: number | undefined
}

export function findStanding(
  { vault, readiness, maxEventAgeMs }: Pick<AdminOptions, 'vault' | 'readiness' | 'maxEventAgeMs'>,
  queues: readonly QueueNow[],
) {
  const byAccount = Map.groupBy(queues, ({ key }) => key.adAccountId)
  const overShare = readiness.overShare()

  function show(account: Account) {
    const { adAccountId, label, grantId } = account
    const own = byAccount.get(adAccountId) ?? []
    const grant = grantId === undefined ? undefined : vault.grant(grantId)
    const status = [
      ...own.map((queue) => queue.status),
      ...problemsOf(account, grant, overShare.has(adAccountId)),
    ].find((one) => STATUSES[one].urgency === 3)
    if (status === undefined) return []
    const times = own.flatMap(({ key, oldestEventTimeS }) => (key.isTest ? [] : (oldestEventTimeS ?? [])))
    const oldestMs = times.length === 0 ? undefined : 1000 * Math.min(...times)
    return [
      {
        adAccountId,
        label,
        status,
        ...STATUSES[status],
        offlineAtMs: oldestMs && oldestMs + 1000 * ON_TIME_S,
        expiresAtMs: oldestMs && oldestMs + maxEventAgeMs,
      },
    ]
  }

  return vault
    .accounts()
    .filter(({ isPaused }) => !isPaused)
    .flatMap(show)
    .toSorted((one, other) => (one.expiresAtMs ?? Infinity) - (other.expiresAtMs ?? Infinity))
}
