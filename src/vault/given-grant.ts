/** What an operator gives of a grant becomes an account's token; it is tried first. */
import type { Clock } from '../clock.ts'
import type { Verify } from '../delivery/verify.ts'
import { InvalidRequest, NotFound, PinterestUnavailable } from '../errors.ts'
import type { PinterestOauth } from '../pinterest/oauth.ts'
import { demand, demandScope, demandUse, toError } from './demand.ts'
import { toIssuedPair } from './granted.ts'
import type { Refresher } from './refresher.ts'
import type { IssuedPair, OauthClient, TokenChange, Vault } from './vault.ts'

export type GivenGrant =
  | { readonly kind: 'refresh_token'; readonly client: OauthClient; readonly refreshToken: string }
  /** Somebody will consent later; or the app has a new secret. */
  | { readonly kind: 'client'; readonly client: OauthClient }
  | { readonly kind: 'shared'; readonly adAccountId: string }

export interface GivenGrants {
  toToken(adAccountId: string, given: GivenGrant): Promise<TokenChange>
  /** It is in the vault now. */
  kept(given: GivenGrant): void
}

/** Asked for with every consent, and of every refresh token that is given. */
export const SCOPE = 'ads:write,ads:read'

/** A pair whose refresh token was used up by a request that then failed: good for the next try, and only in memory. */
const SPARE_PAIRS_KEPT = 100

export interface GivenGrantsOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'refresh'>
  readonly refresher: Refresher
  readonly verify: Verify
  readonly clock: Clock
}

export function createGivenGrants({
  vault,
  oauth,
  refresher,
  verify,
  clock,
}: GivenGrantsOptions): GivenGrants {
  const spares = new Map<string, IssuedPair>()

  async function joinGrant(adAccountId: string, grantId: string): Promise<TokenChange> {
    if (vault.grant(grantId)?.refusedAtMs !== undefined) await demandRenewal(grantId)
    await demandUse(verify, adAccountId, vault.pairOf(grantId)?.accessToken ?? '')
    return { kind: 'grant', grantId }
  }

  async function useRefreshToken(
    adAccountId: string,
    { client, refreshToken }: Extract<GivenGrant, { kind: 'refresh_token' }>,
  ): Promise<TokenChange> {
    const known = vault.findGrant(refreshToken)
    if (known !== undefined) {
      if (known.clientId !== client.clientId) {
        throw new InvalidRequest('oauth.client_id: is not the app that the refresh token was given to.')
      }
      await proveSecret(known.grantId, client)
      return joinGrant(adAccountId, known.grantId)
    }
    const pair = spares.get(refreshToken) ?? (await exchange(client, refreshToken))
    keepSpare(refreshToken, pair)
    demandScope(pair.scope)
    await demandUse(verify, adAccountId, pair.accessToken)
    return { kind: 'new_grant', grant: { client, pair, givenRefreshToken: refreshToken } }
  }

  async function exchange(client: OauthClient, refreshToken: string): Promise<IssuedPair> {
    const answer = await oauth.refresh(client, refreshToken, SCOPE)
    const granted = demand(answer, 'oauth', [client.clientSecret, refreshToken])
    return toIssuedPair(granted, refreshToken, clock.wallMs())
  }

  function keepSpare(refreshToken: string, pair: IssuedPair): void {
    const [oldest] = spares.keys()
    if (spares.size >= SPARE_PAIRS_KEPT && oldest !== undefined) spares.delete(oldest)
    spares.set(refreshToken, pair)
  }

  /** A new secret is tried by a refresh where there is a grant to refresh; else the consent will show. */
  async function useClient(adAccountId: string, client: OauthClient): Promise<TokenChange> {
    const own = vault.grant(vault.account(adAccountId)?.grantId ?? '')
    const isOwn = own?.clientId === client.clientId
    const any = isOwn ? own : vault.grants().find(({ clientId }) => clientId === client.clientId)
    if (any !== undefined) await proveSecret(any.grantId, client)
    return { kind: 'client', client }
  }

  async function proveSecret(grantId: string, client: OauthClient): Promise<void> {
    if (vault.clientOf(client.clientId)?.clientSecret === client.clientSecret) return
    await demandRenewal(grantId, client.clientSecret)
  }

  async function demandRenewal(grantId: string, clientSecret?: string): Promise<void> {
    const result = await refresher.refresh(grantId, clientSecret)
    switch (result.kind) {
      case 'renewed':
        return
      case 'unwritable':
        throw new PinterestUnavailable('The vault cannot be written: nothing was asked of Pinterest.')
      case 'gone':
        throw new NotFound()
      case 'failed':
      case 'refused':
        throw toError(result, 'oauth')
    }
  }

  return {
    async toToken(adAccountId, given) {
      switch (given.kind) {
        case 'shared': {
          const grantId = vault.account(given.adAccountId)?.grantId
          if (grantId !== undefined) return joinGrant(adAccountId, grantId)
          throw new InvalidRequest('oauth.shared_with: is no account that has a grant.')
        }
        case 'client':
          return useClient(adAccountId, given.client)
        case 'refresh_token':
          return useRefreshToken(adAccountId, given)
      }
    },
    kept(given) {
      if (given.kind === 'refresh_token') spares.delete(given.refreshToken)
    },
  }
}
