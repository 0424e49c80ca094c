/** What alerts on tokens hang on. Only accounts whose token expires have a series, the soonest ones first. */
import type { Clock } from '../clock.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Vault } from './vault.ts'
import { needsConsent } from './token-watch.ts'

/** An alert for the thousandth soonest comes in time when that is among the soonest. */
const SERIES_LIMIT = 1000

export function reportTokens(options: {
  readonly metrics: Metrics
  readonly vault: Vault
  readonly clock: Clock
}): void {
  const { metrics, vault, clock } = options
  metrics.accountGauge(
    'pinrelay_token_expiry_seconds',
    'Seconds until the access token in use expires, of the 1,000 accounts whose token expires soonest.',
    () => {
      const nowMs = clock.wallMs()
      const expiries = vault.accounts().flatMap(({ adAccountId, tokenKind, grantId }) => {
        const grant = tokenKind === 'oauth' ? vault.grant(grantId!) : undefined
        return grant === undefined ? [] : [[adAccountId, (grant.expiresAtMs - nowMs) / 1000] as const]
      })
      return new Map(expiries.toSorted(([, a], [, b]) => a - b).slice(0, SERIES_LIMIT))
    },
  )
  metrics.accountGauge(
    'pinrelay_account_needs_consent',
    '1 for each account whose grant Pinterest refused: somebody has to authorize it again. At most 1,000.',
    () => {
      const ids = vault
        .accounts()
        .map(({ adAccountId }) => adAccountId)
        .filter((adAccountId) => needsConsent(vault, adAccountId))
      return new Map(ids.slice(0, SERIES_LIMIT).map((adAccountId) => [adAccountId, 1]))
    },
  )
}
