/**
 * Pinterest's wire for tokens: exchanging a code, refreshing, minting a conversion token, reading the Event Quality
 * Score. One request, one outcome, no retries: src/vault decides when to retry. Connections of its own:
 * a refresh must not queue behind events.
 *
 * Source: Pinterest's OpenAPI description 5.23.0 (`oauth/token`, `oauth/conversion_token`, `conversion_eqs/list`).
 */
import { asObject, parseJson, createUpstream, type UpstreamOptions } from './upstream.ts'
import { readScores, type QualityScore } from './quality-score.ts'
import { createScrub } from './scrub.ts'

export interface ClientCredentials {
  readonly clientId: string
  /** Never log or answer it. */
  readonly clientSecret: string
}

/** A grant's two tokens. Never log, answer or store them open. */
export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
}

/** How long a pair lives, and for what. Times are milliseconds since the epoch, on the relay's clock. */
export interface PairTerms {
  /** As Pinterest writes it: a comma list. */
  readonly scope: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** Undefined where Pinterest did not say. */
  readonly refreshExpiresAtMs: number | undefined
}

/** What Pinterest granted. */
export type IssuedPair = TokenPair & PairTerms

export type OauthFailure =
  /** Pinterest refused, and a retry would be refused too: an operator has to act. `message`: scrubbed. */
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  /**
   * May work later. `isAnswerLost`: the request may have been carried out all the same, and then its refresh token is
   * used up.
   */
  | { readonly kind: 'failed'; readonly reason: string; readonly isAnswerLost: boolean }

export type Granted<Value> = { readonly kind: 'granted'; readonly value: Value } | OauthFailure

export type PinterestOauth = ReturnType<typeof createPinterestOauth>

const CONNECTIONS = 8
/** Token answers are short; a score has eleven components per event name. */
const ANSWER_LIMIT_BYTES = 1024 * 1024

export interface PinterestOauthOptions extends UpstreamOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export function createPinterestOauth({ now, ...options }: PinterestOauthOptions) {
  const upstream = createUpstream(options, { connections: CONNECTIONS, answerBytes: ANSWER_LIMIT_BYTES })

  /** `secrets`: values of the request that a refusal might quote. */
  async function ask<Value>(
    request: Parameters<typeof upstream.ask>[0],
    secrets: readonly string[],
    read: (body: unknown) => Value | undefined,
  ): Promise<Granted<Value>> {
    const exchanged = await upstream.ask(request)
    if (exchanged.kind === 'answered')
      return judge(exchanged.status, parseJson(exchanged.text), secrets, read)
    const { reason } = exchanged
    return { kind: 'failed', reason, isAnswerLost: !NEVER_SENT.has(reason) }
  }

  const askAs = (accessToken: string, method: 'GET' | 'POST', path: string) =>
    ({ method, path, headers: { authorization: `Bearer ${accessToken}` } }) as const

  /** `secret`: a code or a refresh token. */
  function askForPair(
    client: ClientCredentials,
    secret: string,
    form: Readonly<Record<string, string>>,
    usedRefreshToken?: string,
  ): Promise<Granted<IssuedPair>> {
    const credentials = basic(client)
    const headers = {
      authorization: `Basic ${credentials}`,
      'content-type': 'application/x-www-form-urlencoded',
    }
    const body = new URLSearchParams({ ...form, ...CONTINUOUS_REFRESH }).toString()
    const request = { method: 'POST', path: '/oauth/token', headers, body } as const
    return ask(request, [client.clientSecret, credentials, secret], (answer) =>
      readPair(answer, usedRefreshToken, now()),
    )
  }

  return {
    exchangeCode: (client: ClientCredentials, code: string, redirectUri: string) =>
      askForPair(client, code, { grant_type: 'authorization_code', code, redirect_uri: redirectUri }),
    /** The pair has the refresh token that was sent where Pinterest still accepts it (RFC 6749, section 6). */
    refresh: (client: ClientCredentials, refreshToken: string, scope: string) =>
      askForPair(
        client,
        refreshToken,
        { grant_type: 'refresh_token', refresh_token: refreshToken, scope },
        refreshToken,
      ),
    /** A long-lived token that can send events and nothing else. */
    mintConversionToken: (accessToken: string) =>
      ask(askAs(accessToken, 'POST', '/oauth/conversion_token'), [accessToken], (body) =>
        tokenIn(asObject(body)?.['access_token']),
      ),
    async qualityScores(accessToken: string, adAccountId: string): Promise<Granted<readonly QualityScore[]>> {
      const path = `/ad_accounts/${adAccountId}/conversion_eqs?lookback_period=14d`
      return ask(askAs(accessToken, 'GET', path), [accessToken], readScores)
    },
    close: () => upstream.close(),
  }
}

/** Whether a token may do this. Pinterest writes commas; spaces are OAuth's own form. */
export function hasScope(scope: string, wanted: 'ads:write' | 'ads:read'): boolean {
  return scope.split(/[\s,]+/).includes(wanted)
}

/** Apps made before 2025-09-25 have to ask for refresh tokens that are renewed with each use. */
const CONTINUOUS_REFRESH = { continuous_refresh: 'true' }

/** For these the request cannot have reached Pinterest. */
const NEVER_SENT: ReadonlySet<string> = new Set(['refused', 'dns', 'tls', 'proxy'])

function judge<Value>(
  status: number,
  body: unknown,
  secrets: readonly string[],
  read: (body: unknown) => Value | undefined,
): Granted<Value> {
  if (status === 200 || status === 201) {
    const value = read(body)
    if (value !== undefined) return { kind: 'granted', value }
    return { kind: 'failed', reason: 'answer_without_promised_fields', isAnswerLost: true }
  }
  // 408, 429 and 5xx pass; so may an address that is wrong for a while.
  const isRefusal = status === 400 || status === 401 || status === 403 || status === 422
  if (!isRefusal) return { kind: 'failed', reason: `status_${status}`, isAnswerLost: status >= 500 }
  const message = messageIn(asObject(body))
  return {
    kind: 'refused',
    status,
    message: secrets.reduce((text, secret) => createScrub(secret)(text), message),
  }
}

/** Pinterest's own form, or that of RFC 6749, section 5.2. */
function messageIn(body: Record<string, unknown> | undefined): string {
  const { message, error, error_description: description } = body ?? {}
  const texts = [message, error, description].filter((text) => typeof text === 'string' && text !== '')
  return texts.join(': ')
}

function readPair(
  body: unknown,
  usedRefreshToken: string | undefined,
  nowMs: number,
): IssuedPair | undefined {
  const fields = asObject(body)
  const accessToken = tokenIn(fields?.['access_token'])
  const refreshToken = tokenIn(fields?.['refresh_token']) ?? usedRefreshToken
  const lifeMs = lifeIn(fields?.['expires_in'])
  const refreshLifeMs = lifeIn(fields?.['refresh_token_expires_in'])
  const scope = fields?.['scope']
  if (!accessToken || !refreshToken || !lifeMs || typeof scope !== 'string') return undefined
  return {
    accessToken,
    refreshToken,
    scope: scope.slice(0, SCOPE_LENGTH_LIMIT),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + lifeMs,
    refreshExpiresAtMs: refreshLifeMs && nowMs + refreshLifeMs,
  }
}

const SCOPE_LENGTH_LIMIT = 1000

/** What a header may contain. */
function tokenIn(value: unknown): string | undefined {
  return typeof value === 'string' && /^[!-~]{8,4096}$/.test(value) ? value : undefined
}

/** Seconds on the wire. */
function lifeIn(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && value < 1e10 ? value * 1000 : undefined
}

/** As Pinterest's own examples do it: joined as they are. Its ids and secrets need no encoding. */
function basic({ clientId, clientSecret }: ClientCredentials): string {
  return Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
}
