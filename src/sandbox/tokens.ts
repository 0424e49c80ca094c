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
}

export type TokenCheck = 'allowed' | 'unknown' | 'forbidden'

export interface Tokens {
  check(accessToken: string | undefined, adAccountId: string, nowMs: number): TokenCheck
  isKnown(accessToken: string | undefined, nowMs: number): boolean
  /** Replaces all tokens. */
  set(grants: readonly TokenGrant[], acceptsAnyToken?: boolean): void
  add(grant: TokenGrant): void
  /** The token is unknown from now on, also where any token is accepted. */
  revoke(accessToken: string): void
}

export function createTokens(grants: readonly TokenGrant[], acceptsAnyTokenAtFirst: boolean): Tokens {
  let acceptsAnyToken = acceptsAnyTokenAtFirst
  let known = new Map<string, Grant>()

  function add({ accessToken, adAccountIds, expiresAtMs }: TokenGrant): void {
    known.set(accessToken, {
      adAccountIds: adAccountIds && new Set(adAccountIds),
      expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
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
    check(accessToken, adAccountId, nowMs) {
      const grant = find(accessToken, nowMs)
      if (grant === undefined) return 'unknown'
      return grant.adAccountIds?.has(adAccountId) === false ? 'forbidden' : 'allowed'
    },
    isKnown: (accessToken, nowMs) => find(accessToken, nowMs) !== undefined,
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
}

const ANY_ACCOUNT: Grant = { adAccountIds: undefined, expiresAtMs: Number.POSITIVE_INFINITY }
