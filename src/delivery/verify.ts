/** Asks Pinterest whether an account's token works, with a canary. Takes a call limiter token like any other call. */
import { sleep } from '../clock.ts'
import type { CallOutcome } from '../pinterest/pinterest.ts'
import { createScrub } from '../pinterest/scrub.ts'
import type { Verify } from '../vault/granting.ts'
import { canaryCall, decideCanary } from './canary.ts'
import type { DeliveryOptions } from './options.ts'

export type VerifyOptions = Pick<
  DeliveryOptions,
  'pinterest' | 'callLimiter' | 'vault' | 'clock' | 'tokenWatch'
>

export function createVerify({ pinterest, callLimiter, vault, clock, tokenWatch }: VerifyOptions): Verify {
  return async (adAccountId, candidate) => {
    const token = candidate ?? vault.tokenOf(adAccountId)
    if (token === undefined) return NO_TOKEN
    for (let waitMs = callLimiter.take(adAccountId); waitMs > 0; waitMs = callLimiter.take(adAccountId)) {
      await sleep(clock, waitMs)
    }
    const outcome = await pinterest.sendEvents(canaryCall(adAccountId, token, clock.wallMs()))
    callLimiter.finished(adAccountId)
    if (candidate === undefined) noteTokenOutcome(tokenWatch, { adAccountId, token }, outcome)
    if (outcome.kind === 'unanswered') {
      return { ...NO_ANSWER, message: `Pinterest did not answer: ${outcome.reason}.` }
    }
    // A refused event still means an accepted token.
    const works = decideCanary(outcome, clock.wallMs()).action === 'acknowledge'
    const said = createScrub(token)(outcome.message) || 'Pinterest did not say why.'
    const { status } = outcome
    const isRefused = status === 401 || status === 403
    return { works, isRefused, status, message: works ? 'The token works for this ad account.' : said }
  }
}

const NO_ANSWER = { works: false, isRefused: false, status: null }
const NO_TOKEN = { ...NO_ANSWER, message: 'The account has no token yet: it waits for consent.' }

/** Only a call with the relay's own event counts: one with a customer's may be refused for the event. */
export function noteTokenOutcome(
  tokenWatch: DeliveryOptions['tokenWatch'],
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
