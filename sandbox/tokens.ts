/**
 * The bearer tokens that the sandbox knows and the ad accounts that each may use. With `acceptsAnyToken` every token
 * that begins like one of Pinterest's (`pina_`) is good for every account, so that the sandbox works without set-up.
 */
export interface TokenGrant {
  readonly accessToken: string
  /** Without it: every account. */
  readonly adAccountIds?: readonly string[]
  /** On the sandbox's clock; without it the token does not expire. */
  readonly expiresAtMs?: number
  /** Without it: every scope. */
  readonly scopes?: readonly string[]
  /** Sends events and does nothing else: no token is minted with it. */
  readonly isConversionToken?: boolean
}

export type TokenCheck = 'allowed' | 'unknown' | 'forbidden'

export interface Tokens {
  /** `scope`: what is needed; without it, what sending events needs. */
  check(accessToken: string | undefined, adAccountId: string, nowMs: number, scope?: string): TokenCheck
  isKnown(accessToken: string | undefined, nowMs: number): boolean
  /** Of a token that is known. */
  mayMint(accessToken: string): boolean
  /** Undefined: every account. */
  accountsOf(accessToken: string): readonly string[] | undefined
  /** Replaces all tokens. */
  set(grants: readonly TokenGrant[], acceptsAnyToken?: boolean): void
  add(grant: TokenGrant): void
  /** The token is unknown from now on, also where any token is accepted. */
  revoke(accessToken: string): void
}

export function createTokens(grants: readonly TokenGrant[], acceptsAnyTokenAtFirst: boolean): Tokens {
  let acceptsAnyToken = acceptsAnyTokenAtFirst
  let known = new Map<string, Grant>()

  function add({ accessToken, adAccountIds, expiresAtMs, scopes, isConversionToken }: TokenGrant): void {
    known.set(accessToken, {
      adAccountIds: adAccountIds && new Set(adAccountIds),
      expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
      scopes: scopes && new Set(scopes),
      isConversionToken: isConversionToken ?? false,
    })
  }

  function find(accessToken: string | undefined, nowMs: number): Grant | undefined {
    if (accessToken === undefined) return undefined
    const grant = known.get(accessToken)
    if (grant !== undefined) return nowMs < grant.expiresAtMs ? grant : undefined
    return acceptsAnyToken && accessToken.startsWith(TOKEN_PREFIX) ? ANY_ACCOUNT : undefined
  }

  for (const grant of grants) add(grant)
  return {
    check(accessToken, adAccountId, nowMs, scope = 'ads:write') {
      const grant = find(accessToken, nowMs)
      if (grant === undefined) return 'unknown'
      const isAllowed = grant.adAccountIds?.has(adAccountId) !== false && grant.scopes?.has(scope) !== false
      return isAllowed ? 'allowed' : 'forbidden'
    },
    isKnown: (accessToken, nowMs) => find(accessToken, nowMs) !== undefined,
    mayMint(accessToken) {
      const grant = known.get(accessToken) ?? ANY_ACCOUNT
      return !grant.isConversionToken && grant.scopes?.has('ads:write') !== false
    },
    accountsOf(accessToken) {
      const accounts = known.get(accessToken)?.adAccountIds
      return accounts && [...accounts]
    },
    set(grants, acceptsAny = false) {
      known = new Map()
      for (const grant of grants) add(grant)
      acceptsAnyToken = acceptsAny
    },
    add,
    revoke: (accessToken) => add({ accessToken, expiresAtMs: Number.NEGATIVE_INFINITY }),
  }
}

export const TOKEN_PREFIX = 'pina_'

interface Grant {
  readonly adAccountIds: ReadonlySet<string> | undefined
  readonly expiresAtMs: number
  readonly scopes: ReadonlySet<string> | undefined
  readonly isConversionToken: boolean
}

const ANY_ACCOUNT: Grant = {
  adAccountIds: undefined,
  expiresAtMs: Number.POSITIVE_INFINITY,
  scopes: undefined,
  isConversionToken: false,
}
