import type { CallOutcome } from '../pinterest/outcome.ts'
import { createScrub } from '../pinterest/scrub.ts'

/** Learns whether Pinterest accepted an account's token. */
export interface TokenWatch {
  accepted(adAccountId: string): void
  refused(adAccountId: string, refusal: TokenRefusal): void
  /** A new token is on its way: a hold for the old one will end soon. */
  isReplacing(adAccountId: string): boolean
}

export interface TokenRefusal {
  /** The one that was refused. */
  readonly token: string
  /** 401: it is not good any more; 403: not for this account. */
  readonly status: 401 | 403
  /** Scrubbed. */
  readonly reason: string
}

/** Tells it of a call with the relay's own event: one with a customer's may be refused for the event. */
export function tellTokenWatch(
  tokenWatch: TokenWatch,
  { adAccountId, token }: { readonly adAccountId: string; readonly token: string },
  outcome: CallOutcome,
): void {
  if (outcome.kind === 'unanswered') return
  const { status, message } = outcome
  if (status === 200 || status === 422) tokenWatch.accepted(adAccountId)
  if (status !== 401 && status !== 403) return
  const reason = createScrub(token)(message) || `status ${status}`
  tokenWatch.refused(adAccountId, { token, status, reason })
}
