/**
 * Pinterest's two token endpoints, as far as a client of the conversions API meets them: an authorization code is good
 * once, a refresh token is good once and answers with its successor, an access token lives 30 days. There is no consent
 * page: every code that begins with `code_` counts as consented to.
 */
import { randomBytes } from 'node:crypto'

import { answerError, answerJson } from './answer.ts'
import type { Answer } from './answer.ts'
import { TOKEN_PREFIX } from './tokens.ts'
import type { Tokens } from './tokens.ts'

export interface OauthClient {
  readonly clientId: string
  readonly clientSecret: string
}

export interface Oauth {
  /** `POST /v5/oauth/token`: the form's text and the Authorization header. */
  exchange(form: string, authorization: string | undefined): Answer
  /** `POST /v5/oauth/conversion_token`. */
  mintConversionToken(accessToken: string | undefined): Answer
}

export interface OauthOptions {
  readonly tokens: Tokens
  /** Without it every client id and secret is taken. */
  readonly clients: readonly OauthClient[] | undefined
  readonly now: () => number
}

export function createOauth({ tokens, clients, now }: OauthOptions): Oauth {
  const usedCodes = new Set<string>()
  // A used refresh token stays here, without value, so that using it again can be told from one never given.
  const refreshTokens = new Map<string, { readonly expiresAtMs: number; isUsed: boolean }>()

  function issue(responseType: 'authorization_code' | 'refresh_token', scope: string): Answer {
    const accessToken = makeToken(TOKEN_PREFIX)
    const refreshToken = makeToken('pinr_')
    const refreshExpiresAtMs = now() + REFRESH_TOKEN_LIFE_S * 1000
    tokens.add({ accessToken, expiresAtMs: now() + ACCESS_TOKEN_LIFE_S * 1000 })
    refreshTokens.set(refreshToken, { expiresAtMs: refreshExpiresAtMs, isUsed: false })
    return answerJson(200, {
      response_type: responseType,
      access_token: accessToken,
      token_type: 'bearer',
      expires_in: ACCESS_TOKEN_LIFE_S,
      scope,
      refresh_token: refreshToken,
      refresh_token_expires_in: REFRESH_TOKEN_LIFE_S,
      refresh_token_expires_at: Math.floor(refreshExpiresAtMs / 1000),
    })
  }

  function exchangeCode(form: URLSearchParams): Answer {
    const code = form.get('code')
    if (code === null) return answerError(400, "'code' is a required property")
    if (form.get('redirect_uri') === null) return answerError(400, "'redirect_uri' is a required property")
    if (!code.startsWith(CODE_PREFIX) || usedCodes.has(code)) {
      return answerError(400, 'The authorization code is invalid or was used before.')
    }
    usedCodes.add(code)
    return issue('authorization_code', DEFAULT_SCOPE)
  }

  function refresh(form: URLSearchParams): Answer {
    const refreshToken = form.get('refresh_token')
    if (refreshToken === null) return answerError(400, "'refresh_token' is a required property")
    const grant = refreshTokens.get(refreshToken)
    if (grant === undefined || grant.expiresAtMs <= now()) {
      return answerError(401, 'The refresh token is unknown or has expired.')
    }
    if (grant.isUsed) return answerError(401, 'The refresh token was used before.')
    grant.isUsed = true
    return issue('refresh_token', form.get('scope') ?? DEFAULT_SCOPE)
  }

  return {
    exchange(text, authorization) {
      if (!isClientKnown(clients, authorization)) return answerError(401)
      const form = new URLSearchParams(text)
      const grantType = form.get('grant_type')
      if (grantType === 'authorization_code') return exchangeCode(form)
      if (grantType === 'refresh_token') return refresh(form)
      return answerError(400, "'grant_type' must be authorization_code or refresh_token")
    },
    mintConversionToken(accessToken) {
      if (!tokens.isKnown(accessToken, now())) return answerError(401)
      const conversionToken = makeToken(`${TOKEN_PREFIX}conversion_`)
      tokens.add({ accessToken: conversionToken })
      return answerJson(200, { access_token: conversionToken, token_type: 'conversion' })
    },
  }
}

const ACCESS_TOKEN_LIFE_S = 30 * 24 * 3600
const REFRESH_TOKEN_LIFE_S = 60 * 24 * 3600
const CODE_PREFIX = 'code_'
const DEFAULT_SCOPE = 'ads:read,ads:write'

function isClientKnown(
  clients: readonly OauthClient[] | undefined,
  authorization: string | undefined,
): boolean {
  const encoded = /^Basic ([\w+/=-]+)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return false
  const [clientId, ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  const clientSecret = rest.join(':')
  if (clients === undefined) return clientId !== '' && clientSecret !== ''
  return clients.some((client) => client.clientId === clientId && client.clientSecret === clientSecret)
}

function makeToken(prefix: string): string {
  return prefix + randomBytes(24).toString('base64url')
}
