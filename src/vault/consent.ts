/**
 * Consents under way. Each has a `state` that nobody can guess: good once, for ten minutes, and only in the browser
 * session that began it, so that no page can slip somebody else's consent in. Kept in memory: a restart ends them all.
 */
import { randomBytes } from 'node:crypto'

export interface Consent {
  readonly adAccountId: string
  readonly sessionId: string
}

export interface Consents {
  /** Answers the `state` to send along. */
  begin(consent: Consent): string
  /** The account that this state was begun for; undefined when it is unknown, used, too old or another session's. */
  finish(state: string, sessionId: string | undefined): string | undefined
}

export const CONSENT_LIFE_MS = 10 * 60_000
const CONSENTS_KEPT = 1000

/** `nowMs`: monotonic. */
export function createConsents(nowMs: () => number): Consents {
  const pending = new Map<string, Consent & { readonly untilMs: number }>()
  return {
    begin(consent) {
      const [oldest] = pending.keys()
      if (pending.size >= CONSENTS_KEPT && oldest !== undefined) pending.delete(oldest)
      const state = randomBytes(24).toString('base64url')
      pending.set(state, { ...consent, untilMs: nowMs() + CONSENT_LIFE_MS })
      return state
    },
    finish(state, sessionId) {
      const consent = pending.get(state)
      // Another session's attempt must not end the consent of the one that began it.
      if (consent === undefined || consent.sessionId !== sessionId) return undefined
      pending.delete(state)
      return nowMs() < consent.untilMs ? consent.adAccountId : undefined
    },
  }
}

/** Source: `https://www.pinterest.com/oauth/` as Pinterest's guide to authentication describes it. */
export function consentUrl(
  pageUrl: string,
  query: {
    readonly clientId: string
    readonly redirectUri: string
    readonly scope: string
    readonly state: string
  },
): string {
  const url = new URL(pageUrl)
  url.searchParams.set('client_id', query.clientId)
  url.searchParams.set('redirect_uri', query.redirectUri)
  url.searchParams.set('response_type', 'code')
  url.searchParams.set('scope', query.scope)
  url.searchParams.set('state', query.state)
  return url.href
}
