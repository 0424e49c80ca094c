/**
 * Pinterest's wire for tokens: exchanging a code, refreshing, minting a conversion token, reading the Event Quality
 * Score. One request, one outcome, no retries: who may ask again, and when, is for src/vault. Connections of its own:
 * a refresh must not queue behind events.
 *
 * Source: Pinterest's OpenAPI description 5.23.0 (`oauth/token`, `oauth/conversion_token`, `conversion_eqs/list`).
 */
import { asObject, parseJson, readLimited, reasonOf } from './read-answer.ts'
import type { QualityScore } from './quality-score.ts'
import { createUpstream, type UpstreamOptions } from './upstream.ts'

export interface ClientCredentials {
  readonly clientId: string
  readonly clientSecret: string
}

export interface GrantedPair {
  readonly accessToken: string
  /** Absent where Pinterest goes on taking the one that was sent (RFC 6749, section 6). */
  readonly refreshToken: string | undefined
  readonly scope: string
  readonly lifeMs: number
  readonly refreshLifeMs: number | undefined
}

export type OauthFailure =
  /** Pinterest said no, and will say it again: somebody has to mend something. */
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  /**
   * May work later. `isAnswerLost`: the request may have been carried out all the same, and then its refresh token is
   * used up.
   */
  | { readonly kind: 'failed'; readonly reason: string; readonly isAnswerLost: boolean }

export type Granted<Value> = { readonly kind: 'granted'; readonly value: Value } | OauthFailure

export interface PinterestOauth {
  exchangeCode(client: ClientCredentials, code: string, redirectUri: string): Promise<Granted<GrantedPair>>
  refresh(client: ClientCredentials, refreshToken: string, scope: string): Promise<Granted<GrantedPair>>
  /** A long-lived token that can send events and nothing else. */
  mintConversionToken(accessToken: string): Promise<Granted<string>>
  qualityScores(accessToken: string, adAccountId: string): Promise<Granted<readonly QualityScore[]>>
  close(): Promise<void>
}

const CONNECTIONS = 8
/** Token answers are short; a score has eleven components per event name. */
const ANSWER_LIMIT_BYTES = 1024 * 1024

interface WireRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly authorization: string
  readonly form?: Readonly<Record<string, string>>
}

export function createPinterestOauth(options: UpstreamOptions): PinterestOauth {
  const { settings, userAgent } = options
  const callTimeoutMs = settings.CALL_TIMEOUT_MS
  const { origin, basePath, dispatcher } = createUpstream(options, { connections: CONNECTIONS })

  async function ask<Value>(
    { method, path, authorization, form }: WireRequest,
    read: (body: unknown) => Value | undefined,
  ): Promise<Granted<Value>> {
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), callTimeoutMs)
    try {
      const response = await dispatcher.request({
        origin,
        path: basePath + path,
        method,
        headers: {
          authorization,
          accept: 'application/json',
          'user-agent': userAgent,
          ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
        },
        body: form ? new URLSearchParams(form).toString() : null,
        signal: deadline.signal,
        headersTimeout: callTimeoutMs,
        bodyTimeout: callTimeoutMs,
      })
      const text = await readLimited(response.body, ANSWER_LIMIT_BYTES)
      return judge(response.statusCode, text === undefined ? undefined : parseJson(text), read)
    } catch (error) {
      const reason = deadline.signal.aborted ? 'timeout' : reasonOf(error)
      return { kind: 'failed', reason, isAnswerLost: !NEVER_SENT.has(reason) }
    } finally {
      clearTimeout(timer)
    }
  }

  const askForPair = (client: ClientCredentials, form: Readonly<Record<string, string>>) =>
    ask({ method: 'POST', path: '/oauth/token', authorization: basic(client), form }, readPair)

  return {
    exchangeCode: (client, code, redirectUri) =>
      askForPair(client, {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        ...CONTINUOUS_REFRESH,
      }),
    refresh: (client, refreshToken, scope) =>
      askForPair(client, {
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        scope,
        ...CONTINUOUS_REFRESH,
      }),
    mintConversionToken: (accessToken) =>
      ask(
        { method: 'POST', path: '/oauth/conversion_token', authorization: `Bearer ${accessToken}` },
        (body) => tokenIn(asObject(body)?.['access_token']),
      ),
    async qualityScores(accessToken, adAccountId) {
      const { readScores } = await import('./read-scores.ts')
      const path = `/ad_accounts/${adAccountId}/conversion_eqs?lookback_period=14d`
      return ask({ method: 'GET', path, authorization: `Bearer ${accessToken}` }, readScores)
    },
    close: () => dispatcher.destroy(),
  }
}

/** Apps made before 2025-09-25 have to ask for refresh tokens that are renewed with each use. */
const CONTINUOUS_REFRESH = { continuous_refresh: 'true' }

/** For these the request cannot have reached Pinterest. */
const NEVER_SENT: ReadonlySet<string> = new Set(['refused', 'dns', 'tls', 'proxy'])

function judge<Value>(
  status: number,
  body: unknown,
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
  return { kind: 'refused', status, message: messageIn(asObject(body)) }
}

/** Pinterest's own form, or that of RFC 6749, section 5.2. */
function messageIn(body: Record<string, unknown> | undefined): string {
  const { message, error, error_description: description } = body ?? {}
  const texts = [message, error, description].filter((text) => typeof text === 'string' && text !== '')
  return texts.join(': ')
}

function readPair(body: unknown): GrantedPair | undefined {
  const fields = asObject(body)
  const accessToken = tokenIn(fields?.['access_token'])
  const lifeMs = lifeIn(fields?.['expires_in'])
  const scope = fields?.['scope']
  if (accessToken === undefined || lifeMs === undefined || typeof scope !== 'string') return undefined
  return {
    accessToken,
    refreshToken: tokenIn(fields?.['refresh_token']),
    scope: scope.slice(0, SCOPE_LENGTH_LIMIT),
    lifeMs,
    refreshLifeMs: lifeIn(fields?.['refresh_token_expires_in']),
  }
}

const SCOPE_LENGTH_LIMIT = 1000

/** What may stand in a header. */
function tokenIn(value: unknown): string | undefined {
  return typeof value === 'string' && /^[!-~]{8,4096}$/.test(value) ? value : undefined
}

/** Seconds on the wire. */
function lifeIn(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 && value < 1e10 ? value * 1000 : undefined
}

/** As Pinterest's own examples do it: joined as they are. Its ids and secrets need no encoding. */
function basic({ clientId, clientSecret }: ClientCredentials): string {
  return `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`
}
