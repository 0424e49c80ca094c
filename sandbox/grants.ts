/**
 * People's consents, as Pinterest keeps them. A code is good once, for ten minutes, for the app and address that it was
 * given to; it becomes a grant. A grant's refresh token is good once and has a successor; whoever uses one again is
 * refused. Revoking a grant ends all of its tokens.
 */
import { randomBytes } from 'node:crypto'

import type { Tokens } from './tokens.ts'
import { TOKEN_PREFIX } from './tokens.ts'

/** Somebody who consents, and the ad accounts that their tokens may use; without a list, every account. */
export interface SandboxUser {
  readonly name: string
  readonly adAccountIds?: readonly string[]
}

export interface GrantRequest {
  readonly clientId: string
  /** A comma list. */
  readonly scope?: string
  /** The name of one; the first when absent. */
  readonly user?: string
}

export interface GrantedTokens {
  readonly accessToken: string
  readonly refreshToken: string
  readonly scope: string
  readonly expiresAtMs: number
  readonly refreshExpiresAtMs: number
}

export type Refusal = 'unknown' | 'used' | 'expired' | 'revoked' | 'other_client' | 'other_address' | 'scope'
export type GrantAnswer = { readonly tokens: GrantedTokens } | { readonly refusal: Refusal }

export interface Grants {
  /** A grant without a consent page. */
  grant(request: GrantRequest): GrantedTokens
  makeCode(request: GrantRequest & { readonly redirectUri: string }): string
  exchangeCode(code: string, clientId: string, redirectUri: string): GrantAnswer
  /** `scope`: the same or less; undefined: the same. */
  refresh(refreshToken: string, clientId: string, scope: string | undefined): GrantAnswer
  /** A long-lived token of the same user that can do nothing but send events. */
  mint(accessToken: string): string
  /** Ends the grant that a token belongs to, with what was minted from it if asked; false: no such grant. */
  revoke(token: string, options?: { readonly andMinted?: boolean }): boolean
  readonly users: readonly SandboxUser[]
}

export interface GrantOptions {
  readonly tokens: Tokens
  readonly users: readonly SandboxUser[]
  readonly accessTokenLifeMs: number
  readonly refreshTokenLifeMs: number
  /** So long a used refresh token may be used again, and answers the same successors. */
  readonly reuseGraceMs: number
  readonly now: () => number
}

const DEFAULT_SCOPE = 'ads:read,ads:write'
const CODE_LIFE_MS = 10 * 60_000

interface Grant {
  readonly clientId: string
  readonly scope: string
  readonly user: SandboxUser
  readonly tokens: Set<string>
  readonly minted: Set<string>
  isRevoked: boolean
}

interface Code {
  readonly grant: Grant
  readonly redirectUri: string
  readonly untilMs: number
  isUsed: boolean
}

interface RefreshToken {
  readonly grant: Grant
  readonly untilMs: number
  used?: { readonly atMs: number; readonly successor: GrantedTokens }
}

export function createGrants(options: GrantOptions): Grants {
  const { tokens, users, accessTokenLifeMs, refreshTokenLifeMs, reuseGraceMs, now } = options
  const codes = new Map<string, Code>()
  const refreshTokens = new Map<string, RefreshToken>()
  const byToken = new Map<string, Grant>()

  function begin({ clientId, scope = DEFAULT_SCOPE, user }: GrantRequest): Grant {
    const found = users.find(({ name }) => name === user) ?? users[0]!
    return { clientId, scope, user: found, tokens: new Set(), minted: new Set(), isRevoked: false }
  }

  function issue(grant: Grant, scope = grant.scope): GrantedTokens {
    const issued: GrantedTokens = {
      accessToken: makeToken(TOKEN_PREFIX),
      refreshToken: makeToken('pinr_'),
      scope,
      expiresAtMs: now() + accessTokenLifeMs,
      refreshExpiresAtMs: now() + refreshTokenLifeMs,
    }
    const { adAccountIds } = grant.user
    tokens.add({
      accessToken: issued.accessToken,
      ...(adAccountIds && { adAccountIds }),
      expiresAtMs: issued.expiresAtMs,
      scopes: scope.split(','),
    })
    refreshTokens.set(issued.refreshToken, { grant, untilMs: issued.refreshExpiresAtMs })
    for (const token of [issued.accessToken, issued.refreshToken]) {
      grant.tokens.add(token)
      byToken.set(token, grant)
    }
    return issued
  }

  return {
    users,
    grant: (request) => issue(begin(request)),

    makeCode({ redirectUri, ...request }) {
      const code = makeToken('code_')
      codes.set(code, { grant: begin(request), redirectUri, untilMs: now() + CODE_LIFE_MS, isUsed: false })
      return code
    },

    exchangeCode(code, clientId, redirectUri) {
      const known = codes.get(code)
      if (known === undefined) return { refusal: 'unknown' }
      if (known.grant.clientId !== clientId) return { refusal: 'other_client' }
      if (known.redirectUri !== redirectUri) return { refusal: 'other_address' }
      if (known.isUsed) return { refusal: 'used' }
      if (now() >= known.untilMs) return { refusal: 'expired' }
      known.isUsed = true
      return { tokens: issue(known.grant) }
    },

    refresh(refreshToken, clientId, scope) {
      const known = refreshTokens.get(refreshToken)
      if (known === undefined) return { refusal: 'unknown' }
      const { grant, used } = known
      if (grant.clientId !== clientId) return { refusal: 'other_client' }
      if (grant.isRevoked) return { refusal: 'revoked' }
      if (used !== undefined) {
        return now() - used.atMs < reuseGraceMs ? { tokens: used.successor } : { refusal: 'used' }
      }
      if (now() >= known.untilMs) return { refusal: 'expired' }
      const asked = scope ?? grant.scope
      if (!isWithin(asked, grant.scope)) return { refusal: 'scope' }
      const successor = issue(grant, asked)
      known.used = { atMs: now(), successor }
      return { tokens: successor }
    },

    mint(accessToken) {
      const grant = byToken.get(accessToken)
      const conversionToken = makeToken(`${TOKEN_PREFIX}conversion_`)
      const adAccountIds = tokens.accountsOf(accessToken)
      tokens.add({
        accessToken: conversionToken,
        ...(adAccountIds && { adAccountIds }),
        scopes: ['ads:write'],
        isConversionToken: true,
      })
      grant?.minted.add(conversionToken)
      return conversionToken
    },

    revoke(token, { andMinted = false } = {}) {
      const grant = byToken.get(token)
      if (grant === undefined) return false
      grant.isRevoked = true
      for (const own of grant.tokens) tokens.revoke(own)
      if (andMinted) for (const minted of grant.minted) tokens.revoke(minted)
      return true
    },
  }
}

function isWithin(asked: string, granted: string): boolean {
  const scopes = new Set(granted.split(','))
  return asked.split(/[\s,]+/).every((scope) => scopes.has(scope))
}

function makeToken(prefix: string): string {
  return prefix + randomBytes(24).toString('base64url')
}
