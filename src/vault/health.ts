/** When each account's token was last accepted and last refused, since this process began. */
import type { TokenFailure } from './records.ts'

export interface TokenUse {
  readonly lastSuccessAtMs: number | undefined
  readonly lastFailure: TokenFailure | undefined
}

export interface TokenHealth {
  accepted(adAccountId: string): void
  /** `reason`: scrubbed. */
  refused(adAccountId: string, reason: string): void
  of(adAccountId: string): TokenUse
  forget(adAccountId: string): void
}

const UNUSED: TokenUse = { lastSuccessAtMs: undefined, lastFailure: undefined }

/** `now`: milliseconds since the epoch. */
export function createTokenHealth(now: () => number): TokenHealth {
  const uses = new Map<string, TokenUse>()
  const of = (adAccountId: string) => uses.get(adAccountId) ?? UNUSED
  return {
    accepted: (adAccountId) => void uses.set(adAccountId, { ...of(adAccountId), lastSuccessAtMs: now() }),
    refused: (adAccountId, reason) =>
      void uses.set(adAccountId, { ...of(adAccountId), lastFailure: { atMs: now(), reason } }),
    of,
    forget: (adAccountId) => void uses.delete(adAccountId),
  }
}
