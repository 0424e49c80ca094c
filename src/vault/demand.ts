/** What an operator's request needs of Pinterest; what it does not get is told as TOKEN_REFUSED or PINTEREST_UNAVAILABLE. */
import type { Verify } from '../delivery/verify.ts'
import { PinterestUnavailable, TokenRefused } from '../errors.ts'
import type { Granted, OauthFailure } from '../pinterest/oauth.ts'
import { maySendEvents, scrubFailure } from './granted.ts'

export function demand<Value>(answer: Granted<Value>, what: string, secrets: readonly string[]): Value {
  if (answer.kind === 'granted') return answer.value
  throw toError(scrubFailure(answer, secrets), what)
}

export function demandScope(scope: string): void {
  if (!maySendEvents(scope)) {
    throw new TokenRefused('oauth: the consent does not include ads:write, which sending events needs.')
  }
}

/** No answer is no refusal: whether the token works will be seen by its first call. */
export async function demandUse(verify: Verify, adAccountId: string, accessToken: string): Promise<void> {
  const { isRefused, message } = await verify(adAccountId, accessToken)
  if (!isRefused) return
  throw new TokenRefused(`oauth: Pinterest does not take the token for this ad account: ${message}`)
}

/** `failure`: scrubbed. */
export function toError(failure: OauthFailure, what: string): Error {
  if (failure.kind === 'refused') {
    const said = failure.message || 'it did not say why'
    return new TokenRefused(`${what}: Pinterest answered ${failure.status}: ${said}`)
  }
  const lost = failure.isAnswerLost ? ' If it was carried out all the same, authorize the account again.' : ''
  return new PinterestUnavailable(`${what}: Pinterest gave no usable answer (${failure.reason}).${lost}`)
}
