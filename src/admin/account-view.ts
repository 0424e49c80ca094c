/** What operators see of an account: never a token, only where it comes from and whether it works. */
import { Type, type Static } from '../type.ts'
import { STATUSES, type AccountStatus, type QueueState } from '../delivery/queue-status.ts'
import { NoSuch } from '../errors.ts'
import { MAX_EVENT_NAME_LENGTH } from '../events/schema.ts'
import { TOKEN_KINDS } from '../vault/records.ts'
import type { Account, Vault } from '../vault/vault.ts'
import {
  accountStatus,
  AdAccountId,
  Failure,
  queueStatus,
  sendOrFilter,
  textOf,
  type RecordOf,
} from './answers.ts'
import type { AdminOptions } from './options.ts'

const TokenView = Type.Closed({
  kind: Type.Enum([...TOKEN_KINDS]),
  last4: Type.OrNull(Type.String()),
  age_seconds: Type.Seconds,
  expires_in_seconds: Type.OrNull(
    Type.Integer({ description: 'Null where nobody knows: Pinterest says it of grants only.' }),
  ),
  last_success_at: Type.OrNull(Type.Time),
  last_failure: Failure,
})

const GrantView = Type.Closed({
  status: Type.Enum(['valid', 'reauthorize']),
  scope: Type.String(),
  /** In a list, a grant of a thousand accounts would have a million of them. */
  ad_account_ids: Type.Optional(
    Type.Array(AdAccountId, { description: 'Left out in the list of all accounts.' }),
  ),
  expires_in_seconds: Type.Seconds,
  refresh_expires_in_seconds: Type.Seconds,
  next_refresh_in_seconds: Type.Seconds,
  last_failure: Failure,
})

export const QueueView = Type.Closed({
  test: Type.Boolean(),
  ...queueStatus,
  next_try_in_seconds: Type.Seconds,
  calls_in_flight: Type.Count,
  failed_calls: Type.OrNull(
    Type.Closed(
      {
        count: Type.Count,
        since: Type.Time,
        last_at: Type.Time,
        reason: Type.String({
          description: 'How the last one ended: `status_503`, `timeout`, `unreadable_answer`.',
        }),
      },
      { description: 'In a row, of this process; null where Pinterest took the last call.' },
    ),
  ),
})

/** As long as a name may be in an event. */
const EventName = textOf(
  '^[^\\p{C}\\s](?:.*[^\\p{C}\\s])?$',
  'must be a name without control characters, or white space at its ends',
  { maxLength: MAX_EVENT_NAME_LENGTH },
)
export const EventNames = Type.Record(Type.String(), EventName, {
  propertyNames: EventName,
  maxProperties: 100,
  description: "The account's own names for events, and the name that is sent for each.",
})

export const AccountView = Type.Closed({
  ad_account_id: AdAccountId,
  label: Type.String(),
  country: Type.OrNull(Type.String()),
  dob_format: Type.OrNull(Type.Enum(['DMY', 'MDY'])),
  bots: sendOrFilter(),
  event_names: EventNames,
  posts_per_minute: Type.OrNull(Type.Count),
  paused: Type.Boolean(),
  token: TokenView,
  grant: Type.OrNull(GrantView),
  client_id: Type.OrNull(Type.String()),
  created_at: Type.Time,
  problems: Type.Array(Type.Closed(accountStatus), {
    description: 'Of the account as a whole, without those that are the status of one of its queues.',
  }),
  queues: Type.Array(QueueView),
})
export type AccountAnswer = Static<typeof AccountView>
type AccountRecord = RecordOf<AccountAnswer>

/** Throws NOT_FOUND. */
export function showAccount(options: AdminOptions, adAccountId: string, isListed = false): AccountRecord {
  const { vault, delivery, refresher, clock } = options
  const account = findAccount(vault, adAccountId)
  const grant = vault.grantOf(adAccountId)
  const nowMs = clock.wallMs()
  const queues = delivery.queues(adAccountId)
  return {
    ...account,
    country: account.country?.toUpperCase(),
    paused: account.isPaused,
    token: tokenOf(account, options, nowMs),
    grant: grant && {
      ...grant,
      status: grant.failure?.isRefused === true ? 'reauthorize' : 'valid',
      ...(!isListed && { adAccountIds: vault.accountsOn(grant.grantId) }),
      expiresInSeconds: secondsUntil(grant.expiresAtMs, nowMs),
      refreshExpiresInSeconds: secondsUntil(grant.refreshExpiresAtMs, nowMs),
      nextRefreshInSeconds: secondsUntil(refresher.nextRefreshAtMs(grant.grantId), nowMs),
      lastFailure: grant.failure,
    },
    problems: problemsOf(account, options)
      .filter((status) => !queues.some((queue) => queue.status === status))
      .map((status) => ({ status, ...STATUSES[status] })),
    queues: queues.map(describeQueue),
  }
}

export function describeQueue({ isTest, status, nextTryMs, callsInFlight, failedCalls }: QueueState) {
  const nextTryInSeconds = nextTryMs && Math.ceil(nextTryMs / 1000)
  return { test: isTest, status, ...STATUSES[status], nextTryInSeconds, callsInFlight, failedCalls }
}

export function problemsOf(
  { adAccountId, isPaused, tokenKind }: Account,
  { vault, readiness }: Pick<AdminOptions, 'vault' | 'readiness'>,
): AccountStatus[] {
  return [
    ...(readiness.overShare().has(adAccountId) ? ['over_share' as const] : []),
    ...(isPaused ? ['paused' as const] : []),
    ...(tokenKind === 'none' ? ['no_token' as const] : []),
    ...(vault.grantOf(adAccountId)?.failure?.isRefused === true ? ['reauthorize' as const] : []),
  ]
}

function tokenOf(
  { adAccountId, tokenKind: kind, tokenSetAtMs }: Account,
  { vault, tokenWatch }: AdminOptions,
  nowMs: number,
) {
  const grant = kind === 'oauth' ? vault.grantOf(adAccountId) : undefined
  const setAtMs = grant?.issuedAtMs ?? tokenSetAtMs
  const { lastSuccessAtMs, lastFailure } = tokenWatch.useOf(adAccountId)
  return {
    lastSuccessAtMs,
    lastFailure,
    kind,
    last4: vault.tokenOf(adAccountId)?.slice(-4),
    ageSeconds: kind === 'none' ? null : Math.max(0, Math.floor((nowMs - setAtMs) / 1000)),
    expiresInSeconds: secondsUntil(grant?.expiresAtMs, nowMs),
  }
}

/** Negative for what is past. */
function secondsUntil(atMs: number | undefined, nowMs: number): number | null {
  return atMs === undefined ? null : Math.floor((atMs - nowMs) / 1000)
}

export function findAccount(vault: Pick<Vault, 'account'>, adAccountId: string): Account {
  const account = vault.account(adAccountId)
  if (account === undefined) throw new NoSuch(`account ${adAccountId}`)
  return account
}
