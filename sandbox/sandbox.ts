/**
 * A strict stand-in for Pinterest: it answers calls as Pinterest documents its API, records what it was sent, holds
 * every ad account to its limit, and fails on demand. For development, tests and benchmarks; it keeps everything in
 * memory, in bounded room, and protects nothing: do not expose it.
 *
 *   POST   /v5/ad_accounts/{id}/events?test=   Pinterest's
 *   GET, POST /oauth/                          the consent page, and its form
 *   POST   /v5/oauth/token                     Pinterest's (authorization_code, refresh_token)
 *   POST   /v5/oauth/conversion_token          Pinterest's
 *   GET    /v5/ad_accounts/{id}/conversion_eqs Pinterest's
 *
 *   PUT    /_sandbox/tokens     {tokens: [{accessToken, adAccountIds?, expiresAtMs?}], acceptsAnyToken?}
 *   POST   /_sandbox/grants     {clientId, scope?, user?}: {accessToken, refreshToken, …}, a consent without the page
 *   POST   /_sandbox/revoke     {token, andMinted?}
 *   POST   /_sandbox/clock      {advanceMs}: tokens, codes and the limit's window grow older by so much
 *   GET    /_sandbox/oauth      {exchanges, refreshes, reuses, minted, requests: [TokenRequest]}
 *   PUT    /_sandbox/faults     [rule, …] replaces all rules (faults.ts says what a rule is)
 *   GET    /_sandbox/faults     {faults: [{rule, used}]}
 *   DELETE /_sandbox/faults
 *   GET    /_sandbox/journal    ?ad_account_id&since&limit (100): {calls: [JournalEntry]}, the newest last
 *   DELETE /_sandbox/journal
 *   GET    /_sandbox/events     ?ad_account_id&counts=false: {recorded, distinct, repeated, uncounted,
 *                               counts: {event_id: times}}
 *   DELETE /_sandbox/events
 *   GET    /_sandbox/stats      {callsPerMinute, accounts: {id: AccountStats}}
 *   DELETE /_sandbox/stats      also empties the limit's window
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { createAccounts } from './accounts.ts'
import type { AccountStats } from './accounts.ts'
import { answerError } from './answer.ts'
import { createCallHandler } from './calls.ts'
import { createControl } from './control.ts'
import { createConsentPage } from './consent-page.ts'
import { createConversions } from './conversions.ts'
import type { Conversions } from './conversions.ts'
import { createFaults } from './faults.ts'
import type { Faults } from './faults.ts'
import { createGrants } from './grants.ts'
import type { Grants, SandboxUser } from './grants.ts'
import { createJournal } from './journal.ts'
import type { Journal, JournalOptions } from './journal.ts'
import { createOauth } from './oauth.ts'
import type { OauthClient, OauthStats } from './oauth.ts'
import { createProcess } from './process-call.ts'
import { createQuality } from './quality.ts'
import { readBearer } from './read-call.ts'
import { createTokenCalls } from './token-calls.ts'
import type { TokenRequest } from './token-calls.ts'
import { createTokens } from './tokens.ts'
import type { TokenGrant, Tokens } from './tokens.ts'
import { createWatch } from './watch.ts'
import { readBody, send, sendEarly } from './wire.ts'

export interface SandboxOptions {
  readonly host?: string
  /** 0: any free port. */
  readonly port?: number
  /** Without it, any token that begins with `pina_` is good for every account. */
  readonly tokens?: readonly TokenGrant[]
  /** Without it, any client id and secret is taken. */
  readonly oauthClients?: readonly OauthClient[]
  /** Who may consent; without it, one user of every account. */
  readonly users?: readonly SandboxUser[]
  readonly accessTokenLifeS?: number
  readonly refreshTokenLifeS?: number
  /** So long a used refresh token may be used again; 0: not at all. */
  readonly reuseGraceMs?: number
  /** Per ad account, in any 60 seconds; 0: no limit. */
  readonly callsPerMinute?: number
  readonly journal?: Partial<JournalOptions>
  /** Event ids that are remembered, over all accounts. */
  readonly maxEventIds?: number
  readonly bodyLimitBytes?: number
  /** Milliseconds since the epoch; must not go backwards. */
  readonly now?: () => number
  /** From 0 up to 1, for faults with a probability. */
  readonly random?: () => number
}

export interface Sandbox {
  /** What PINTEREST_API_URL is set to: ends with `/v5`. */
  readonly url: string
  /** The same without `/v5`. */
  readonly origin: string
  readonly port: number
  readonly journal: Journal
  readonly conversions: Conversions
  readonly faults: Faults
  readonly tokens: Tokens
  readonly grants: Grants
  oauthStats(): OauthStats
  /** Requests to the endpoints for tokens and scores, the newest last. */
  tokenRequests(): readonly TokenRequest[]
  /** Tokens, codes and the limit's window grow older by so much. */
  advanceClock(ms: number): void
  stats(): Readonly<Record<string, AccountStats>>
  /** Resolves once `isTrue`: asked now, and whenever a call was noted. Rejects when the sandbox closes first. */
  until(isTrue: () => boolean): Promise<void>
  /** Ends hanging calls too. */
  close(): Promise<void>
}

export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { callsPerMinute = CALLS_PER_MINUTE, host = '127.0.0.1', now: given = monotonicNow } = options
  let offsetMs = 0
  const now = () => given() + offsetMs
  const advanceClock = (ms: number) => {
    offsetMs += ms
  }
  const tokens = createTokens(options.tokens ?? [], options.tokens === undefined)
  const accounts = createAccounts({ callsPerWindow: callsPerMinute, windowMs: WINDOW_MS })
  const conversions = createConversions(options.maxEventIds ?? MAX_EVENT_IDS)
  const faults = createFaults(options.random ?? Math.random)
  const journal = createJournal({ ...JOURNAL_DEFAULTS, ...options.journal })
  const grants = createGrants({
    tokens,
    users: options.users ?? [{ name: 'everybody' }],
    accessTokenLifeMs: (options.accessTokenLifeS ?? ACCESS_TOKEN_LIFE_S) * 1000,
    refreshTokenLifeMs: (options.refreshTokenLifeS ?? REFRESH_TOKEN_LIFE_S) * 1000,
    reuseGraceMs: options.reuseGraceMs ?? 0,
    now,
  })
  const oauth = createOauth({ tokens, grants, clients: options.oauthClients, now })
  const consentPage = createConsentPage({ grants, clients: options.oauthClients })
  const quality = createQuality()
  const watch = createWatch()
  const closing = new AbortController()

  const tokenCalls = createTokenCalls({ faults, now, signal: closing.signal })
  const handleControl = createControl({
    accounts,
    conversions,
    faults,
    journal,
    tokens,
    grants,
    oauth,
    tokenCalls,
    advanceClock,
    callsPerMinute,
  })
  const handleCall = createCallHandler({
    accounts,
    faults,
    journal,
    processCall: createProcess({ tokens, accounts, conversions, quality }),
    now,
    bodyLimitBytes: options.bodyLimitBytes ?? BODY_LIMIT_BYTES,
    signal: closing.signal,
    onCall: watch.check,
  })

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url: target = '/' } = request
    const [, adAccountId, query] = EVENTS_PATH.exec(target) ?? []
    if (adAccountId !== undefined && method === 'POST')
      return handleCall(request, response, adAccountId, query)
    const [path = '', search] = target.split('?', 2)
    if (path.startsWith(CONTROL_PREFIX)) {
      const name = path.slice(CONTROL_PREFIX.length)
      return handleControl(request, response, name, new URLSearchParams(search))
    }
    if (method === 'POST' && path === '/v5/oauth/token') {
      return tokenCalls.handle(request, response, 'token', '', (form) =>
        oauth.exchange(form, request.headers.authorization),
      )
    }
    if (method === 'POST' && path === '/v5/oauth/conversion_token') {
      return tokenCalls.handle(request, response, 'conversion_token', '', () =>
        oauth.mintConversionToken(readBearer(request)),
      )
    }
    const [, scoredId] = SCORES_PATH.exec(path) ?? []
    if (method === 'GET' && scoredId !== undefined) {
      return tokenCalls.handle(request, response, 'conversion_eqs', scoredId, () => {
        const check = tokens.check(readBearer(request), scoredId, now(), 'ads:read')
        if (check !== 'allowed') return answerError(check === 'unknown' ? 401 : 403)
        return quality.answer(scoredId, new URLSearchParams(search))
      })
    }
    if (path === '/oauth/' && method === 'GET') {
      return send(response, consentPage.show(new URLSearchParams(search)))
    }
    if (path === '/oauth/' && method === 'POST') {
      const form = await readBody(request, FORM_LIMIT_BYTES)
      if (!Buffer.isBuffer(form)) return sendEarly(request, response, answerError(413))
      return send(response, consentPage.decide(new URLSearchParams(form.toString('utf8'))))
    }
    sendEarly(request, response, answerError(adAccountId === undefined ? 404 : 405))
  }

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    route(request, response).catch(() => {
      // The other side left, or the sandbox closes while it answers slowly: nobody reads an answer.
      if (response.headersSent || closing.signal.aborted) response.destroy()
      else send(response, answerError(500))
    })
  })
  const { port } = await new Promise<AddressInfo>((resolve, reject) => {
    server.once('error', reject)
    const address = { host, port: options.port ?? 0, backlog: BACKLOG }
    server.listen(address, () => resolve(server.address() as AddressInfo))
  })
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`

  return {
    url: `${origin}/v5`,
    origin,
    port,
    journal,
    conversions,
    faults,
    tokens,
    grants,
    oauthStats: () => oauth.stats(),
    tokenRequests: () => tokenCalls.requests(),
    advanceClock,
    stats: () => accounts.stats(),
    until: (isTrue) => watch.until(isTrue),
    async close() {
      closing.abort()
      watch.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

const EVENTS_PATH = /^\/v5\/ad_accounts\/([^/?]*)\/events(?:\?(.*))?$/
const SCORES_PATH = /^\/v5\/ad_accounts\/(\d{1,18})\/conversion_eqs$/
const CONTROL_PREFIX = '/_sandbox/'

const CALLS_PER_MINUTE = 5000
const WINDOW_MS = 60_000
const MAX_EVENT_IDS = 2_000_000
const JOURNAL_DEFAULTS: JournalOptions = { maxCalls: 10_000, maxBytes: 64 * 2 ** 20, keepsEvents: true }

/** Pinterest states none; a thousand full events are under 8 MiB. */
const BODY_LIMIT_BYTES = 32 * 2 ** 20
const FORM_LIMIT_BYTES = 64 * 2 ** 10

const ACCESS_TOKEN_LIFE_S = 30 * 24 * 3600
const REFRESH_TOKEN_LIFE_S = 60 * 24 * 3600

/** Longer than any client keeps an idle connection: the client closes first, so that no call meets a closed one. */
const KEEP_ALIVE_MS = 65_000
const BACKLOG = 1024

/** Reads like the wall clock but never jumps. */
function monotonicNow(): number {
  return performance.timeOrigin + performance.now()
}
