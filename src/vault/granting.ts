/**
 * How accounts come to grants and tokens when an operator asks for it. Each way tries the token for the account before
 * anything is kept: what Pinterest refuses changes nothing that worked before, and the operator gets the reason.
 *
 * Throws INVALID_REQUEST, TOKEN_REFUSED, NO_GRANT or PINTEREST_UNAVAILABLE.
 */
import { orAfter, type Clock } from '../clock.ts'
import { createScrub } from '../delivery/scrub.ts'
import { verifyAll } from '../delivery/verify-all.ts'
import type { Verify } from '../delivery/verify.ts'
import { InvalidRequest, NoGrant, NotFound, PinterestUnavailable, TokenRefused } from '../errors.ts'
import type { GrantedPair, OauthFailure, PinterestOauth } from '../pinterest/oauth.ts'
import type { AccountChange, IssuedPair, OauthClient, TokenChange, Vault } from './vault.ts'
import { maySendEvents, toIssuedPair } from './issued-pair.ts'
import type { Refresher, RefreshResult } from './refresher.ts'

/** What an operator gives of a grant. */
export type GivenGrant =
  | { readonly kind: 'refresh_token'; readonly client: OauthClient; readonly refreshToken: string }
  /** Somebody will consent later; or the app has a new secret. */
  | { readonly kind: 'client'; readonly client: OauthClient }
  | { readonly kind: 'shared'; readonly adAccountId: string }

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

export interface GrantingOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'exchangeCode' | 'refresh' | 'mintConversionToken'>
  readonly refresher: Refresher
  readonly verify: Verify
  readonly clock: Clock
}

/** Asked for with every consent, and of every refresh token that is given. */
export const SCOPE = 'ads:write,ads:read'

/** A pair whose refresh token was used up by a request that then failed: good for the next try, and only in memory. */
const SPARE_PAIRS_KEPT = 100

export function createGranting({ vault, oauth, refresher, verify, clock }: GrantingOptions): Granting {
  const spares = new Map<string, IssuedPair>()
  // One at a time: two that use the same refresh token up would lose the grant.
  let last: Promise<unknown> = Promise.resolve()
  function inOrder<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = last.then(change)
    last = result.catch(() => undefined)
    return result
  }

  async function tokenFrom(adAccountId: string, given: GivenGrant): Promise<TokenChange | undefined> {
    switch (given.kind) {
      case 'shared': {
        const grantId = vault.account(given.adAccountId)?.grantId
        if (grantId === undefined) {
          throw new InvalidRequest('oauth.shared_with: is no account that has a grant.')
        }
        return joinGrant(adAccountId, grantId)
      }
      case 'client':
        return useClient(adAccountId, given.client)
      case 'refresh_token': {
        const known = vault.findGrant(given.refreshToken)
        if (known === undefined) return useRefreshToken(adAccountId, given)
        if (known.clientId !== given.client.clientId) {
          throw new InvalidRequest('oauth.client_id: is not the app that the refresh token was given to.')
        }
        await proveSecret(known.grantId, given.client)
        return joinGrant(adAccountId, known.grantId)
      }
    }
  }

  async function joinGrant(adAccountId: string, grantId: string): Promise<TokenChange> {
    if (vault.grant(grantId)?.refusedAtMs !== undefined) demandRenewal(await refresher.refresh(grantId))
    await demandUse(adAccountId, vault.pairOf(grantId)?.accessToken ?? '')
    return { kind: 'grant', grantId }
  }

  async function useRefreshToken(
    adAccountId: string,
    { client, refreshToken }: Extract<GivenGrant, { kind: 'refresh_token' }>,
  ): Promise<TokenChange> {
    const pair = spares.get(refreshToken) ?? (await exchange(client, refreshToken))
    keepSpare(refreshToken, pair)
    demandScope(pair)
    await demandUse(adAccountId, pair.accessToken)
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
  async function useClient(adAccountId: string, client: OauthClient): Promise<TokenChange | undefined> {
    const own = vault.grant(vault.account(adAccountId)?.grantId ?? '')
    const isOwn = own?.clientId === client.clientId
    const any = isOwn ? own : vault.grants().find(({ clientId }) => clientId === client.clientId)
    if (any !== undefined) await proveSecret(any.grantId, client)
    return { kind: 'client', client }
  }

  async function proveSecret(grantId: string, client: OauthClient): Promise<void> {
    if (vault.clientOf(client.clientId)?.clientSecret === client.clientSecret) return
    demandRenewal(await refresher.refresh(grantId, client.clientSecret))
  }

  function demandRenewal(result: RefreshResult): void {
    switch (result.kind) {
      case 'renewed':
        return
      case 'unwritable':
        throw new PinterestUnavailable('The vault cannot be written: nothing was asked of Pinterest.')
      case 'gone':
        throw new NotFound()
      case 'failed':
      case 'refused':
        throw toError(result, 'oauth', '')
    }
  }

  function demandScope({ scope }: Pick<GrantedPair, 'scope'>): void {
    if (!maySendEvents(scope)) {
      throw new TokenRefused('oauth: the consent does not include ads:write, which sending events needs.')
    }
  }

  /** No answer is no refusal: whether the token works will be seen by its first call. */
  async function demandUse(adAccountId: string, accessToken: string): Promise<void> {
    const { isRefused, message } = await verify(adAccountId, accessToken)
    if (!isRefused) return
    throw new TokenRefused(`oauth: Pinterest does not take the token for this ad account: ${message}`)
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
        const token = await tokenFrom(settings.adAccountId, given)
        const outcome = await vault.putAccount({ ...settings, token })
        if (given.kind === 'refresh_token') spares.delete(given.refreshToken)
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
        demandScope(pair)
        await demandUse(adAccountId, pair.accessToken)
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
        await demandUse(adAccountId, accessToken)
        await vault.putAccount({ adAccountId, token: { kind: 'conversion', accessToken } })
      }),

    ended: (patienceMs) => orAfter(clock, patienceMs, last),
  }
}

export const NO_CLIENT = 'The account has no app: PUT oauth with client_id and client_secret first.'
const NO_GRANT = 'The account has no grant: PUT oauth with a refresh_token, or authorize it.'

function demand<Value>(
  answer: { readonly kind: 'granted'; readonly value: Value } | OauthFailure,
  what: string,
  secrets: readonly string[],
): Value {
  if (answer.kind === 'granted') return answer.value
  let message = answer.kind === 'refused' ? answer.message : ''
  for (const secret of secrets) message = createScrub(secret)(message)
  throw toError(answer, what, message)
}

function toError(failure: OauthFailure, what: string, scrubbedMessage: string): Error {
  if (failure.kind === 'refused') {
    const said = scrubbedMessage || failure.message || 'it did not say why'
    return new TokenRefused(`${what}: Pinterest answered ${failure.status}: ${said}`)
  }
  const lost = failure.isAnswerLost ? ' If it was carried out all the same, authorize the account again.' : ''
  return new PinterestUnavailable(`${what}: Pinterest gave no usable answer (${failure.reason}).${lost}`)
}
