/**
 * How accounts get grants and tokens when an operator asks for it. Each way tries the token for the account before
 * anything is kept: what Pinterest refuses changes nothing that worked before, and the operator gets the reason.
 *
 * Throws INVALID_REQUEST, TOKEN_REFUSED, NO_GRANT or PINTEREST_UNAVAILABLE.
 */
import { Readable } from 'node:stream'
import { sha256Hex } from '../events/hash.ts'
import { createSequence, orAfter, type Clock } from '../clock.ts'
import { InvalidRequest, NoGrant, NotFound, PinterestUnavailable, TokenRefused } from '../errors.ts'
import {
  hasScope,
  type ClientCredentials,
  type Granted,
  type IssuedPair,
  type OauthFailure,
  type PinterestOauth,
} from '../pinterest/oauth.ts'
import type { Refresher } from './refresher.ts'
import type { AccountChange, TokenChange, Vault } from './vault.ts'

/** What an operator gives of a grant. */
export type GivenGrant =
  | { readonly kind: 'refresh_token'; readonly client: ClientCredentials; readonly refreshToken: string }
  /** A person will consent later; or the app has a new secret. */
  | { readonly kind: 'client'; readonly client: ClientCredentials }
  | { readonly kind: 'shared'; readonly adAccountId: string }

/** Whether Pinterest takes a token for an account: the one in use, or a `candidate`. */
export type Verify = (adAccountId: string, candidate?: string) => Promise<Verification>

export interface Verification {
  readonly works: boolean
  /** Pinterest refused the token itself, for this account or altogether. */
  readonly isRefused: boolean
  /** Pinterest's HTTP status; null without an answer. */
  readonly status: number | null
  readonly message: string
}

export type Granting = ReturnType<typeof createGranting>

interface GrantingOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'exchangeCode' | 'refresh' | 'mintConversionToken'>
  readonly refresher: Refresher
  readonly clock: Clock
  readonly verify: Verify
}

/** Asked for with every consent, and of every refresh token that is given. */
export const SCOPE = 'ads:write,ads:read'

export function createGranting(options: GrantingOptions) {
  const { vault, oauth, verify, clock } = options
  const givenGrants = createGivenGrants(options)
  // One at a time: two that use the same refresh token up would lose the grant.
  const { run: inOrder, ended } = createSequence()

  /** Others keep what they have unless the new grant works for them, or theirs is refused anyhow. A few are asked at once. */
  async function findMovers(adAccountId: string, accessToken: string): Promise<string[]> {
    const grant = vault.grantOf(adAccountId)
    if (grant === undefined) return []
    const moves = async (other: string) => {
      const { works, isRefused } = await verify(other, accessToken)
      return works || (grant.failure?.isRefused === true && !isRefused)
    }
    const others = vault.accountsOn(grant.grantId).filter((id) => id !== adAccountId)
    return Readable.from(others).filter(moves, { concurrency: 8 }).toArray()
  }

  /** Another replica may be given the same refresh token: it must not be used twice, and who comes later finds its grant. */
  async function alone<Result>(given: GivenGrant, work: () => Promise<Result>): Promise<Result> {
    if (given.kind !== 'refresh_token') return work()
    const name = sha256Hex(given.refreshToken)
    try {
      // It may have been kept also where its answer was lost.
      if (!(await vault.claim(name))) throw new PinterestUnavailable(ELSEWHERE)
      await vault.reload()
      return await work()
    } finally {
      await vault.unclaim(name)
    }
  }

  return {
    /** Registers or changes an account with what an operator gave. */
    putAccount: (settings: Omit<AccountChange, 'token'>, given: GivenGrant) =>
      inOrder(() =>
        alone(given, async () => {
          const token = await givenGrants.toToken(settings.adAccountId, given)
          const outcome = await vault.putAccount({ ...settings, token })
          givenGrants.kept(given)
          return outcome
        }),
      ),

    /**
     * A person consented: `code` becomes a grant of this account, and of the others on its grant that it works for.
     * Answers them all.
     */
    useCode: (adAccountId: string, code: string, redirectUri: string) =>
      inOrder(async () => {
        const client = vault.clientOf(vault.account(adAccountId)?.clientId ?? '')
        if (client === undefined) throw new NoGrant(NO_CLIENT)
        const answer = await oauth.exchangeCode(client, code, redirectUri)
        const pair = demand(answer, 'code')
        await demandUse(verify, adAccountId, pair.accessToken, pair.scope)
        const adAccountIds = [adAccountId, ...(await findMovers(adAccountId, pair.accessToken))]
        await vault.addGrant({ client, pair }, adAccountIds)
        if (vault.account(adAccountId) === undefined) throw new NotFound()
        return adAccountIds
      }),

    /** Has a long-lived token for conversions minted, which becomes the account's own. */
    mint: (adAccountId: string) =>
      inOrder(async () => {
        const pair = vault.pairOf(vault.grantOf(adAccountId)?.grantId ?? '')
        if (pair === undefined) throw new NoGrant(NO_GRANT)
        const answer = await oauth.mintConversionToken(pair.accessToken)
        const accessToken = demand(answer, 'conversion token')
        await demandUse(verify, adAccountId, accessToken)
        await vault.putAccount({ adAccountId, token: { kind: 'conversion', accessToken } })
      }),

    /** Resolves when what is under way has ended, or after `patienceMs`: a pair that is not kept yet would be lost. */
    ended: (patienceMs: number) => orAfter(clock, patienceMs, ended()),
  }
}

export const NO_CLIENT = 'The account has no app: relay account set ID --oauth gives it one.'
const ELSEWHERE = 'oauth: another replica uses the refresh token now: try again in a minute.'
const NO_GRANT =
  'The account has no grant: relay account set ID --oauth gives it an app, and then somebody consents.'

/** A pair whose refresh token was used up by a request that then failed: good for the next try, and only in memory. */
const SPARE_PAIRS_KEPT = 100

/** What is given becomes an account's token; it is tried first. */
function createGivenGrants({ vault, oauth, refresher, verify }: GrantingOptions) {
  const spares = new Map<string, IssuedPair>()

  async function joinGrant(adAccountId: string, grantId: string): Promise<TokenChange> {
    if (vault.grant(grantId)?.failure?.isRefused === true) await demandRenewal(grantId)
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
    const pair = spares.get(refreshToken) ?? demand(await oauth.refresh(client, refreshToken, SCOPE), 'oauth')
    keepSpare(refreshToken, pair)
    await demandUse(verify, adAccountId, pair.accessToken, pair.scope)
    return { kind: 'new_grant', grant: { client, pair, givenRefreshToken: refreshToken } }
  }

  function keepSpare(refreshToken: string, pair: IssuedPair): void {
    const [oldest] = spares.keys()
    if (spares.size >= SPARE_PAIRS_KEPT && oldest !== undefined) spares.delete(oldest)
    spares.set(refreshToken, pair)
  }

  /** A new secret is tried by a refresh where there is a grant to refresh; else the consent will show. */
  async function useClient(adAccountId: string, client: ClientCredentials): Promise<TokenChange> {
    const own = vault.grantOf(adAccountId)
    const isOwn = own?.clientId === client.clientId
    const any = isOwn ? own : vault.grants().find(({ clientId }) => clientId === client.clientId)
    if (any !== undefined) await proveSecret(any.grantId, client)
    return { kind: 'client', client }
  }

  async function proveSecret(grantId: string, client: ClientCredentials): Promise<void> {
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
      case 'elsewhere':
        throw new PinterestUnavailable(ELSEWHERE)
      case 'failed':
      case 'refused':
        throw toError(result, 'oauth')
    }
  }

  return {
    async toToken(adAccountId: string, given: GivenGrant): Promise<TokenChange> {
      switch (given.kind) {
        case 'shared': {
          const grant = vault.grantOf(given.adAccountId)
          if (grant !== undefined) return joinGrant(adAccountId, grant.grantId)
          throw new InvalidRequest('oauth.shared_with: is no account that has a grant.')
        }
        case 'client':
          return useClient(adAccountId, given.client)
        case 'refresh_token':
          return useRefreshToken(adAccountId, given)
      }
    },
    /** What was given is in the vault now: its spare pair is not needed any more. */
    kept(given: GivenGrant) {
      if (given.kind === 'refresh_token') spares.delete(given.refreshToken)
    },
  }
}

/** What an operator's request needs of Pinterest. */
function demand<Value>(answer: Granted<Value>, what: string): Value {
  if (answer.kind === 'granted') return answer.value
  throw toError(answer, what)
}

/** No answer is no refusal: whether the token works will be seen by its first call. */
async function demandUse(
  verify: Verify,
  adAccountId: string,
  accessToken: string,
  scope = SCOPE,
): Promise<void> {
  if (!hasScope(scope, 'ads:write')) {
    throw new TokenRefused('oauth: the consent does not include ads:write, which sending events needs.')
  }
  const { isRefused, message } = await verify(adAccountId, accessToken)
  if (!isRefused) return
  throw new TokenRefused(`oauth: Pinterest does not take the token for this ad account: ${message}`)
}

function toError(failure: OauthFailure, what: string): Error {
  if (failure.kind === 'refused') {
    const said = failure.message || 'it did not say why'
    return new TokenRefused(`${what}: Pinterest answered ${failure.status}: ${said}`)
  }
  const lost = failure.isAnswerLost ? ' If it was carried out all the same, authorize the account again.' : ''
  return new PinterestUnavailable(`${what}: Pinterest gave no usable answer (${failure.reason}).${lost}`)
}
