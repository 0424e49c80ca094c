/**
 * How accounts come to grants and tokens when an operator asks for it. Each way tries the token for the account before
 * anything is kept: what Pinterest refuses changes nothing that worked before, and the operator gets the reason.
 *
 * Throws INVALID_REQUEST, TOKEN_REFUSED, NO_GRANT or PINTEREST_UNAVAILABLE.
 */
import { orAfter } from '../clock.ts'
import { verifyAll } from '../delivery/verify-all.ts'
import { NoGrant, NotFound, PinterestUnavailable } from '../errors.ts'
import type { PinterestOauth } from '../pinterest/oauth.ts'
import { demand, demandScope, demandUse } from './demand.ts'
import { createGivenGrants, type GivenGrant, type GivenGrantsOptions } from './given-grant.ts'
import { toIssuedPair } from './granted.ts'
import type { AccountChange } from './vault.ts'

export { SCOPE, type GivenGrant } from './given-grant.ts'

export interface Granting {
  /** Registers or changes an account with what an operator gave. */
  putAccount(settings: Omit<AccountChange, 'token'>, given: GivenGrant): Promise<'added' | 'replaced'>
  /**
   * Somebody consented: `code` becomes a grant of this account, and of the others on its grant that it works for.
   * Answers them all.
   */
  useCode(adAccountId: string, code: string, redirectUri: string): Promise<readonly string[]>
  /** Has a long-lived token for conversions minted, which becomes the account's own. */
  mint(adAccountId: string): Promise<void>
  /** Resolves when what is under way has ended, or after `patienceMs`: a pair that is not kept yet would be lost. */
  ended(patienceMs: number): Promise<void>
}

export interface GrantingOptions extends GivenGrantsOptions {
  readonly oauth: Pick<PinterestOauth, 'exchangeCode' | 'refresh' | 'mintConversionToken'>
}

export function createGranting(options: GrantingOptions): Granting {
  const { vault, oauth, verify, clock } = options
  const givenGrants = createGivenGrants(options)
  // One at a time: two that use the same refresh token up would lose the grant.
  let last: Promise<unknown> = Promise.resolve()
  function inOrder<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = last.then(change)
    last = result.catch(() => undefined)
    return result
  }

  /** Others keep what they have unless the new grant works for them, or theirs is refused anyhow. */
  async function findMovers(adAccountId: string, accessToken: string): Promise<string[]> {
    const grantId = vault.account(adAccountId)?.grantId
    const others = grantId === undefined ? [] : vault.accountsOn(grantId).filter((id) => id !== adAccountId)
    const isRefused = grantId !== undefined && vault.grant(grantId)?.refusedAtMs !== undefined
    const verifications = await verifyAll(others, (other) => verify(other, accessToken))
    return verifications
      .filter((one) => one.works || (isRefused && !one.isRefused))
      .map(({ ad_account_id }) => ad_account_id)
  }

  return {
    putAccount: (settings, given) =>
      inOrder(async () => {
        const token = await givenGrants.toToken(settings.adAccountId, given)
        const outcome = await vault.putAccount({ ...settings, token })
        givenGrants.kept(given)
        return outcome === 'added' ? 'added' : 'replaced'
      }),

    useCode: (adAccountId, code, redirectUri) =>
      inOrder(async () => {
        const clientId = vault.account(adAccountId)?.clientId
        const client = clientId === undefined ? undefined : vault.clientOf(clientId)
        if (client === undefined) throw new NoGrant(NO_CLIENT)
        const answer = await oauth.exchangeCode(client, code, redirectUri)
        const granted = demand(answer, 'code', [client.clientSecret, code])
        if (granted.refreshToken === undefined) {
          throw new PinterestUnavailable('code: Pinterest answered without the promised refresh_token.')
        }
        const pair = toIssuedPair(granted, granted.refreshToken, clock.wallMs())
        demandScope(pair.scope)
        await demandUse(verify, adAccountId, pair.accessToken)
        const adAccountIds = [adAccountId, ...(await findMovers(adAccountId, pair.accessToken))]
        await vault.addGrant({ client, pair }, adAccountIds)
        if (vault.account(adAccountId) === undefined) throw new NotFound()
        return adAccountIds
      }),

    mint: (adAccountId) =>
      inOrder(async () => {
        const grantId = vault.account(adAccountId)?.grantId
        const pair = grantId === undefined ? undefined : vault.pairOf(grantId)
        if (pair === undefined) throw new NoGrant(NO_GRANT)
        const answer = await oauth.mintConversionToken(pair.accessToken)
        const accessToken = demand(answer, 'conversion token', [pair.accessToken])
        await demandUse(verify, adAccountId, accessToken)
        await vault.putAccount({ adAccountId, token: { kind: 'conversion', accessToken } })
      }),

    ended: (patienceMs) => orAfter(clock, patienceMs, last),
  }
}

export const NO_CLIENT = 'The account has no app: PUT oauth with client_id and client_secret first.'
const NO_GRANT = 'The account has no grant: PUT oauth with a refresh_token, or authorize it.'
