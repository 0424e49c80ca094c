/** What alerts on tokens hang on: collected at scrape time, and only for accounts whose token expires. */
import type { Metrics } from '../telemetry/metrics.ts'
import type { Vault } from './vault.ts'
import { needsConsent } from './token-watch.ts'

export function reportTokens({ metrics, vault }: { readonly metrics: Metrics; readonly vault: Vault }): void {
  // The soonest first: an alert for the thousandth comes in time when that is among them.
  metrics.collect('tokenExpiryTimestamp', () =>
    vault
      .accounts()
      .flatMap(({ adAccountId, tokenKind, grantId }) => {
        const grant = tokenKind === 'oauth' ? vault.grant(grantId!) : undefined
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
