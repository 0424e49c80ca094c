/**
 * What follows from how Pinterest took a token: it is remembered, and a refused one is replaced where the relay can do so
 * by itself, by a refresh or, for a token of the account's own, by its grant's.
 */
import type { TokenWatch } from '../delivery/token-watch.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { Vault } from './vault.ts'
import type { TokenHealth } from './health.ts'
import type { Refresher } from './refresher.ts'

export interface TokenWatchOptions {
  readonly vault: Vault
  readonly refresher: Refresher
  readonly health: TokenHealth
  readonly log: Log
}

export function createTokenWatch({ vault, refresher, health, log }: TokenWatchOptions): TokenWatch {
  function fallBack(adAccountId: string, grantId: string): void {
    log.warn({ ad_account_id: adAccountId }, 'own token refused, using the grant')
    vault.putAccount({ adAccountId, token: { kind: 'grant', grantId } }).catch((error: unknown) => {
      log.error({ ad_account_id: adAccountId, code: codeOf(error) }, 'vault cannot be written')
    })
  }

  return {
    accepted: (adAccountId) => health.accepted(adAccountId),

    refused(adAccountId, { token, status, reason }) {
      const account = vault.account(adAccountId)
      // It was replaced meanwhile: that says nothing of the new one.
      if (account === undefined || vault.tokenOf(adAccountId) !== token) return
      health.refused(adAccountId, reason)
      const { grantId, tokenKind } = account
      if (status !== 401 || grantId === undefined) return
      if (tokenKind === 'oauth') refresher.accessRefused(grantId)
      else if (vault.grant(grantId)?.refusedAtMs === undefined) fallBack(adAccountId, grantId)
    },

    isReplacing(adAccountId) {
      const grantId = vault.account(adAccountId)?.grantId
      return grantId !== undefined && refresher.isRefreshing(grantId)
    },
  }
}

/** Whether only a person's consent lets this account send again. */
export function needsConsent(vault: Vault, adAccountId: string): boolean {
  const account = vault.account(adAccountId)
  if (account?.tokenKind !== 'oauth') return false
  return vault.grant(account.grantId!)?.refusedAtMs !== undefined
}
