/**
 * A strict stand-in for Pinterest: it answers calls as Pinterest documents its API, records what it was sent, holds
 * every ad account to its limit, and fails on demand. For development, tests and benchmarks; it keeps everything in
 * memory, in bounded room, and protects nothing: do not expose it.
 *
 *   POST   /v5/ad_accounts/{id}/events?test=   Pinterest's
 *   POST   /v5/oauth/token                     Pinterest's (authorization_code, refresh_token)
 *   POST   /v5/oauth/conversion_token          Pinterest's
 *
 *   PUT    /_sandbox/tokens     {tokens: [{accessToken, adAccountIds?, expiresAtMs?}], acceptsAnyToken?}
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
import { createConversions } from './conversions.ts'
import type { Conversions } from './conversions.ts'
import { createFaults } from './faults.ts'
import type { Faults } from './faults.ts'
import { createJournal } from './journal.ts'
import type { Journal, JournalOptions } from './journal.ts'
import { createOauth } from './oauth.ts'
import type { OauthClient } from './oauth.ts'
import { createProcess } from './process-call.ts'
import { readBearer } from './read-call.ts'
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
  /** Per ad account, in any 60 seconds; 0: no limit. */
  readonly callsPerMinute?: number
  readonly journal?: Partial<JournalOptions>
  /** Event ids that are told apart, over all accounts. */
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
  stats(): Readonly<Record<string, AccountStats>>
  /** Resolves once `isTrue`: asked now, and whenever a call was noted. Rejects when the sandbox closes first. */
  until(isTrue: () => boolean): Promise<void>
  /** Ends hanging calls too. */
  close(): Promise<void>
}

export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { callsPerMinute = CALLS_PER_MINUTE, host = '127.0.0.1', now = monotonicNow } = options
  const tokens = createTokens(options.tokens ?? [], options.tokens === undefined)
  const accounts = createAccounts({ callsPerWindow: callsPerMinute, windowMs: WINDOW_MS })
  const conversions = createConversions(options.maxEventIds ?? MAX_EVENT_IDS)
  const faults = createFaults(options.random ?? Math.random)
  const journal = createJournal({ ...JOURNAL_DEFAULTS, ...options.journal })
  const oauth = createOauth({ tokens, clients: options.oauthClients, now })
  const watch = createWatch()
  const closing = new AbortController()

  const handleControl = createControl({ accounts, conversions, faults, journal, tokens, callsPerMinute })
  const handleCall = createCallHandler({
    accounts,
    faults,
    journal,
    processCall: createProcess({ tokens, accounts, conversions }),
    now,
    bodyLimitBytes: options.bodyLimitBytes ?? BODY_LIMIT_BYTES,
    signal: closing.signal,
    onCall: watch.look,
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
      const form = await readBody(request, OAUTH_LIMIT_BYTES)
      if (!Buffer.isBuffer(form)) return sendEarly(request, response, answerError(413))
      return send(response, oauth.exchange(form.toString('utf8'), request.headers.authorization))
    }
    if (method === 'POST' && path === '/v5/oauth/conversion_token') {
      return sendEarly(request, response, oauth.mintConversionToken(readBearer(request)))
    }
    sendEarly(request, response, answerError(adAccountId === undefined ? 404 : 405))
  }

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    route(request, response).catch(() => {
      // The other side left, or the sandbox closes while it answers slowly: there is nobody to tell.
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
const CONTROL_PREFIX = '/_sandbox/'

const CALLS_PER_MINUTE = 5000
const WINDOW_MS = 60_000
const MAX_EVENT_IDS = 2_000_000
const JOURNAL_DEFAULTS: JournalOptions = { maxCalls: 10_000, maxBytes: 64 * 2 ** 20, keepsEvents: true }

/** Pinterest states none; a thousand full events are under 8 MiB. */
const BODY_LIMIT_BYTES = 32 * 2 ** 20
const OAUTH_LIMIT_BYTES = 64 * 2 ** 10

/** Longer than any client keeps an idle connection: the client closes first, so that no call meets a closed one. */
const KEEP_ALIVE_MS = 65_000
const BACKLOG = 1024

/** Reads like the wall clock but never jumps. */
function monotonicNow(): number {
  return performance.timeOrigin + performance.now()
}
