/** Pinterest's token endpoints, as answers: who asks, for what, and what they get (grants.ts keeps the grants). */
import { answerError, answerJson } from './answer.ts'
import type { Answer } from './answer.ts'
import type { GrantAnswer, Grants, Refusal } from './grants.ts'
import type { Tokens } from './tokens.ts'

export interface OauthClient {
  readonly clientId: string
  readonly clientSecret: string
}

/** What was asked of the token endpoints since the start. */
export interface OauthStats {
  readonly exchanges: number
  readonly refreshes: number
  /** Refused, because the refresh token had been used before. */
  readonly reuses: number
  readonly minted: number
}

export interface Oauth {
  /** `POST /v5/oauth/token`: the form's text and the Authorization header. */
  exchange(form: string, authorization: string | undefined): Answer
  /** `POST /v5/oauth/conversion_token`. */
  mintConversionToken(accessToken: string | undefined): Answer
  stats(): OauthStats
}

export interface OauthOptions {
  readonly tokens: Tokens
  readonly grants: Grants
  /** Without it every client id and secret is taken. */
  readonly clients: readonly OauthClient[] | undefined
  readonly now: () => number
}

const REFUSALS: Readonly<Record<Refusal, readonly [status: number, message: string]>> = {
  unknown: [400, 'The authorization grant is invalid.'],
  used: [400, 'The authorization grant is invalid: it was used before.'],
  expired: [400, 'The authorization grant is invalid: it has expired.'],
  revoked: [400, 'The authorization grant is invalid: it was revoked.'],
  other_client: [400, 'The authorization grant is invalid: it was given to another app.'],
  other_address: [400, 'The authorization grant is invalid: redirect_uri is not the one of the consent.'],
  scope: [400, 'The requested scope exceeds what was granted.'],
}
/** Pinterest's code for a grant that is no good. */
const INVALID_GRANT_CODE = 283

export function createOauth({ tokens, grants, clients, now }: OauthOptions): Oauth {
  const stats = { exchanges: 0, refreshes: 0, reuses: 0, minted: 0 }

  function answerGrant(responseType: 'authorization_code' | 'refresh_token', answer: GrantAnswer): Answer {
    if ('refusal' in answer) {
      const [status, message] = REFUSALS[answer.refusal]
      return answerJson(status, { code: INVALID_GRANT_CODE, message })
    }
    const { accessToken, refreshToken, scope, expiresAtMs, refreshExpiresAtMs } = answer.tokens
    return answerJson(200, {
      response_type: responseType,
      access_token: accessToken,
      token_type: 'bearer',
      expires_in: Math.round((expiresAtMs - now()) / 1000),
      scope,
      refresh_token: refreshToken,
      refresh_token_expires_in: Math.round((refreshExpiresAtMs - now()) / 1000),
      refresh_token_expires_at: Math.floor(refreshExpiresAtMs / 1000),
    })
  }

  function exchangeCode(form: URLSearchParams, clientId: string): Answer {
    const code = form.get('code')
    const redirectUri = form.get('redirect_uri')
    if (code === null) return answerError(400, "'code' is a required property")
    if (redirectUri === null) return answerError(400, "'redirect_uri' is a required property")
    stats.exchanges += 1
    return answerGrant('authorization_code', grants.exchangeCode(code, clientId, redirectUri))
  }

  function refresh(form: URLSearchParams, clientId: string): Answer {
    const refreshToken = form.get('refresh_token')
    if (refreshToken === null) return answerError(400, "'refresh_token' is a required property")
    const answer = grants.refresh(refreshToken, clientId, form.get('scope') ?? undefined)
    stats.refreshes += 1
    if ('refusal' in answer && answer.refusal === 'used') stats.reuses += 1
    return answerGrant('refresh_token', answer)
  }

  return {
    exchange(text, authorization) {
      const clientId = findClient(clients, authorization)
      if (clientId === undefined) return answerError(401)
      const form = new URLSearchParams(text)
      const grantType = form.get('grant_type')
      if (grantType === 'authorization_code') return exchangeCode(form, clientId)
      if (grantType === 'refresh_token') return refresh(form, clientId)
      return answerError(400, "'grant_type' must be authorization_code or refresh_token")
    },
    mintConversionToken(accessToken) {
      if (accessToken === undefined || !tokens.isKnown(accessToken, now())) return answerError(401)
      if (!tokens.mayMint(accessToken)) return answerError(403)
      stats.minted += 1
      return answerJson(200, { access_token: grants.mint(accessToken), token_type: 'conversion' })
    },
    stats: () => ({ ...stats }),
  }
}

function findClient(
  clients: readonly OauthClient[] | undefined,
  authorization: string | undefined,
): string | undefined {
  const encoded = /^Basic ([\w+/=-]+)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [clientId = '', ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  const clientSecret = rest.join(':')
  if (clientId === '' || clientSecret === '') return undefined
  const isKnown =
    clients === undefined ||
    clients.some((client) => client.clientId === clientId && client.clientSecret === clientSecret)
  return isKnown ? clientId : undefined
}
