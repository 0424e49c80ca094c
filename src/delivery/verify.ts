/** Asks Pinterest whether an account's token works, with a canary. Takes a call limiter token like any other call. */
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { Clock } from '../clock.ts'
import type { Pinterest } from '../pinterest/outcome.ts'
import type { Vault } from '../vault/vault.ts'
import { createScrub } from '../pinterest/scrub.ts'
import { canaryCall, decideCanary } from './canary.ts'
import { tellTokenWatch, type TokenWatch } from './token-watch.ts'

export interface Verification {
  readonly works: boolean
  /** Pinterest refused the token itself, for this account or altogether. */
  readonly isRefused: boolean
  /** Pinterest's HTTP status; null without an answer. */
  readonly status: number | null
  readonly message: string
}

/** `candidate`: a token to try instead of the one in use. */
export type Verify = (adAccountId: string, candidate?: string) => Promise<Verification>

export interface VerifyOptions {
  readonly pinterest: Pinterest
  readonly callLimiter: CallLimiter
  readonly vault: Vault
  readonly clock: Clock
  readonly tokenWatch: TokenWatch
}

export function createVerify({ pinterest, callLimiter, vault, clock, tokenWatch }: VerifyOptions): Verify {
  return async (adAccountId, candidate) => {
    const token = candidate ?? vault.tokenOf(adAccountId)
    if (token === undefined) return NO_TOKEN
    for (let waitMs = callLimiter.take(adAccountId); waitMs > 0; waitMs = callLimiter.take(adAccountId)) {
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    }
    const outcome = await pinterest.sendEvents(canaryCall(adAccountId, token, clock.wallMs()))
    callLimiter.finished(adAccountId)
    if (candidate === undefined) tellTokenWatch(tokenWatch, { adAccountId, token }, outcome)
    if (outcome.kind === 'unanswered') {
      return {
        works: false,
        isRefused: false,
        status: null,
        message: `Pinterest did not answer: ${outcome.reason}.`,
      }
    }
    // A refused event still means an accepted token.
    const works = decideCanary(outcome, clock.wallMs()).action === 'acknowledge'
    const said = createScrub(token)(outcome.message) || 'Pinterest did not say why.'
    const { status } = outcome
    const isRefused = status === 401 || status === 403
    return { works, isRefused, status, message: works ? 'The token works for this ad account.' : said }
  }
}

const NO_TOKEN: Verification = {
  works: false,
  isRefused: false,
  status: null,
  message: 'The account has no token yet: it waits for consent.',
}
