/**
 * Whether Pinterest accepted a token: it is remembered, and a refused one is replaced where the relay can do so by itself,
 * by a refresh or, for a token of the account's own, by its grant's.
 */
import { codeOf } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { TokenFailure } from './records.ts'
import type { Refresher } from './refresher.ts'
import type { Vault } from './vault.ts'

/** When the token was last accepted and last refused, since this process began. */
export interface TokenUse {
  readonly lastSuccessAtMs?: number
  readonly lastFailure?: TokenFailure
}

/** Learns whether Pinterest accepted an account's token. */
export type TokenWatch = ReturnType<typeof createTokenWatch>

interface TokenRefusal {
  /** The one that was refused. */
  readonly token: string
  /** 401: it is no longer valid; 403: not for this account. */
  readonly status: 401 | 403
  /** Scrubbed. */
  readonly reason: string
}

interface TokenWatchOptions {
  readonly vault: Vault
  readonly refresher: Refresher
  readonly clock: Clock
  readonly log: Log
}

export function createTokenWatch({ vault, refresher, clock, log }: TokenWatchOptions) {
  const uses = new Map<string, TokenUse>()
  const useOf = (adAccountId: string): TokenUse => uses.get(adAccountId) ?? {}
  const note = (adAccountId: string, use: TokenUse) =>
    void uses.set(adAccountId, { ...useOf(adAccountId), ...use })

  async function fallBack(adAccountId: string, token: string): Promise<void> {
    try {
      if (await vault.replaceByGrant(adAccountId, token))
        log.warn({ ad_account_id: adAccountId }, 'own token refused, using the grant')
    } catch (error) {
      log.error({ ad_account_id: adAccountId, code: codeOf(error) }, 'vault cannot be written')
    }
  }

  return {
    accepted: (adAccountId: string) => note(adAccountId, { lastSuccessAtMs: clock.wallMs() }),

    refused(adAccountId: string, { token, status, reason }: TokenRefusal): void {
      const account = vault.account(adAccountId)
      // It was replaced meanwhile: that says nothing of the new one.
      if (account === undefined || vault.tokenOf(adAccountId) !== token) return
      note(adAccountId, { lastFailure: { atMs: clock.wallMs(), reason } })
      const grant = vault.grantOf(adAccountId)
      if (status !== 401 || grant === undefined) return
      if (account.tokenKind === 'oauth') refresher.accessRefused(grant.grantId)
      else if (grant.failure?.isRefused !== true) void fallBack(adAccountId, token)
    },

    /** A new token is on its way: a hold for the old one will end soon. */
    isReplacing(adAccountId: string): boolean {
      const grantId = vault.account(adAccountId)?.grantId
      return grantId !== undefined && refresher.isRefreshing(grantId)
    },

    useOf,
    forget: (adAccountId: string) => void uses.delete(adAccountId),
  }
}

/** Whether only a person's consent lets this account send again. */
export function needsConsent(vault: Vault, adAccountId: string): boolean {
  const isOauth = vault.account(adAccountId)?.tokenKind === 'oauth'
  return isOauth && vault.grantOf(adAccountId)?.failure?.isRefused === true
}

/** For alerts: collected at scrape time, and only for accounts whose token expires. */
export function reportTokens({ metrics, vault }: { readonly metrics: Metrics; readonly vault: Vault }): void {
  // The soonest first: an alert for the thousandth comes in time when that is among them.
  metrics.collect('tokenExpiryTimestamp', () =>
    vault
      .accounts()
      .flatMap(({ adAccountId, tokenKind }) => {
        const grant = tokenKind === 'oauth' ? vault.grantOf(adAccountId) : undefined
        return grant === undefined
          ? []
          : [[{ ad_account_id: adAccountId }, grant.expiresAtMs / 1000] as const]
      })
      .toSorted(([, one], [, other]) => one - other),
  )
  metrics.collect('accountNeedsConsent', () =>
    vault
      .accounts()
      .filter(({ adAccountId }) => needsConsent(vault, adAccountId))
      .map(({ adAccountId }) => [{ ad_account_id: adAccountId }, 1]),
  )
}
