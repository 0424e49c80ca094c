/** Pinterest's answers about tokens as the vault keeps them: with times on the relay's clock, and without secrets. */
import { createScrub } from '../delivery/scrub.ts'
import type { GrantedPair, OauthFailure } from '../pinterest/oauth.ts'
import type { IssuedPair } from './records.ts'

/** `usedRefreshToken` stays in use where Pinterest gave no other. */
export function toIssuedPair(granted: GrantedPair, usedRefreshToken: string, nowMs: number): IssuedPair {
  const { accessToken, refreshToken, scope, lifeMs, refreshLifeMs } = granted
  return {
    accessToken,
    refreshToken: refreshToken ?? usedRefreshToken,
    scope,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + lifeMs,
    refreshExpiresAtMs: refreshLifeMs === undefined ? undefined : nowMs + refreshLifeMs,
  }
}

/** Whether a token of this scope may send events. Pinterest writes commas; spaces are OAuth's own form. */
export function maySendEvents(scope: string): boolean {
  return scope.split(/[\s,]+/).includes('ads:write')
}

export function mayReadQuality(scope: string): boolean {
  return scope.split(/[\s,]+/).includes('ads:read')
}

export function scrubFailure(failure: OauthFailure, secrets: readonly string[]): OauthFailure {
  if (failure.kind === 'failed') return failure
  const message = secrets.reduce((text, secret) => createScrub(secret)(text), failure.message)
  return { ...failure, message }
}
