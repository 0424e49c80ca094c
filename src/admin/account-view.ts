/** What operators see of an account: never a token, only where it comes from and how it does. */
import { Type, type Static } from 'typebox'
import type { QueueState } from '../delivery/queue-state.ts'
import type { TokenUse } from '../vault/health.ts'
import type { Account, Grant } from '../vault/vault.ts'
import { AdAccountId, closed, Count, Failure, orNull, Time } from './answers.ts'
import type { AdminOptions } from './app.ts'
import { showFailure, showSecondsUntil, showTime } from './show.ts'

export const QueueStatus = Type.Enum([
  'open',
  'paused',
  'outage',
  'reauthorize',
  'failing',
  'rate_limited',
  'unauthorized',
  'forbidden',
  'wrong_address',
])

const seconds = () => orNull(Type.Integer())

const TokenView = Type.Object(
  {
    kind: Type.Enum(['given', 'conversion', 'oauth', 'none']),
    last4: orNull(Type.String()),
    age_seconds: seconds(),
    expires_in_seconds: orNull(
      Type.Integer({ description: 'Null where nobody knows: Pinterest says it of grants only.' }),
    ),
    last_success_at: orNull(Time),
    last_failure: Failure,
  },
  closed,
)

const GrantView = Type.Object(
  {
    status: Type.Enum(['valid', 'reauthorize']),
    scope: Type.String(),
    ad_account_ids: Type.Array(AdAccountId),
    issued_at: orNull(Time),
    expires_in_seconds: seconds(),
    refresh_expires_in_seconds: seconds(),
    next_refresh_in_seconds: seconds(),
    last_failure: Failure,
  },
  closed,
)

const QueueView = Type.Object(
  { test: Type.Boolean(), status: QueueStatus, next_try_in_seconds: seconds(), calls_in_flight: Count },
  closed,
)

export const AccountView = Type.Object(
  {
    ad_account_id: AdAccountId,
    label: Type.String(),
    country: orNull(Type.String()),
    dob_format: orNull(Type.Enum(['DMY', 'MDY'])),
    posts_per_minute: orNull(Count),
    paused: Type.Boolean(),
    over_share: Type.Boolean({
      description: 'Its posts get 503: more of its events wait than its share of the store holds.',
    }),
    token: TokenView,
    grant: orNull(GrantView),
    client_id: orNull(Type.String()),
    created_at: Time,
    queues: Type.Array(QueueView),
  },
  closed,
)

export type ShowAccount = (account: Account) => Static<typeof AccountView>

export function createShowAccount(options: AdminOptions): ShowAccount {
  const { vault, delivery, refresher, tokenHealth, readiness, clock } = options
  return (account) => {
    const { adAccountId, grantId } = account
    const grant = grantId === undefined ? undefined : vault.grant(grantId)
    const nowMs = clock.wallMs()
    return {
      ad_account_id: adAccountId,
      label: account.label,
      country: account.country?.toUpperCase() ?? null,
      dob_format: account.dobFormat ?? null,
      posts_per_minute: account.postsPerMinute ?? null,
      paused: account.isPaused,
      over_share: readiness.overShare().has(adAccountId),
      token: showToken(account, grant, tokenHealth.of(adAccountId), nowMs),
      grant: grant === undefined ? null : showGrant(grant, nowMs),
      client_id: account.clientId ?? null,
      created_at: new Date(account.createdAtMs).toISOString(),
      queues: delivery.queues(adAccountId).map(showQueue),
    }
  }

  function showGrant(grant: Grant, nowMs: number): Static<typeof GrantView> {
    return {
      status: grant.refusedAtMs === undefined ? 'valid' : 'reauthorize',
      scope: grant.scope,
      ad_account_ids: [...vault.accountsOn(grant.grantId)],
      issued_at: showTime(grant.issuedAtMs),
      expires_in_seconds: showSecondsUntil(grant.expiresAtMs, nowMs),
      refresh_expires_in_seconds: showSecondsUntil(grant.refreshExpiresAtMs, nowMs),
      next_refresh_in_seconds: showSecondsUntil(refresher.nextRefreshAtMs(grant.grantId), nowMs),
      last_failure: showFailure(grant.failure),
    }
  }
}

function showToken(
  account: Account,
  grant: Grant | undefined,
  use: TokenUse,
  nowMs: number,
): Static<typeof TokenView> {
  const isOauth = account.tokenKind === 'oauth'
  const setAtMs = isOauth ? grant?.issuedAtMs : account.tokenSetAtMs
  const hasToken = account.tokenKind !== 'none'
  return {
    kind: account.tokenKind,
    last4: (isOauth ? grant?.accessTokenLast4 : account.tokenLast4) || null,
    age_seconds: hasToken ? Math.max(0, Math.floor((nowMs - (setAtMs ?? nowMs)) / 1000)) : null,
    /** Null where nobody knows: Pinterest does not say it of the others. */
    expires_in_seconds: isOauth ? showSecondsUntil(grant?.expiresAtMs, nowMs) : null,
    last_success_at: showTime(use.lastSuccessAtMs),
    last_failure: showFailure(use.lastFailure),
  }
}

function showQueue({ isTest, status, nextTryMs, callsInFlight }: QueueState): Static<typeof QueueView> {
  return {
    test: isTest,
    status,
    next_try_in_seconds: nextTryMs === undefined ? null : Math.ceil(nextTryMs / 1000),
    calls_in_flight: callsInFlight,
  }
}
