/**
 * Relay keys: what a storefront presents as its access token. 256 random bits behind a recognizable prefix, shown once
 * and stored as a SHA-256 (enough for a secret of that length: there is nothing to guess, so nothing to slow down).
 */
import { hash, randomBytes } from 'node:crypto'

const PREFIX = 'prl_'

export function makeRelayKey(): string {
  return PREFIX + randomBytes(32).toString('base64url')
}

/** As text, which is made faster than a buffer of its own: this runs for every post. */
export function hashRelayKey(relayKey: string): string {
  return hash('sha256', relayKey, 'hex')
}
