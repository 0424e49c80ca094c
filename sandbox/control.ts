/**
 * The sandbox's own routes under `/_sandbox/`, listed in `sandbox.ts`. Whoever reaches the port may use them: it is a
 * tool for one's own machine.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { Type } from '../src/type.ts'
import { Compile } from 'typebox/schema'

import type { Accounts } from './accounts.ts'
import { answerError, answerJson } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Conversions } from './conversions.ts'
import { readFaultRules } from './faults.ts'
import type { Faults } from './faults.ts'
import type { Grants } from './grants.ts'
import type { Journal, JournalFilter } from './journal.ts'
import type { Oauth } from './oauth.ts'
import { describeRefusal } from './refusal.ts'
import type { TokenCalls } from './token-calls.ts'
import type { Tokens } from './tokens.ts'
import { readBody, send, sendEarly } from './wire.ts'

export interface ControlOptions {
  readonly accounts: Accounts
  readonly conversions: Conversions
  readonly faults: Faults
  readonly journal: Journal
  readonly tokens: Tokens
  readonly grants: Grants
  readonly oauth: Oauth
  readonly tokenCalls: TokenCalls
  readonly advanceClock: (ms: number) => void
  readonly callsPerMinute: number
}

/** `path` is what comes after `/_sandbox/`. */
export type HandleControl = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  query: URLSearchParams,
) => Promise<void>

export function createControl(options: ControlOptions): HandleControl {
  const { accounts, conversions, faults, journal, tokens, grants, oauth, callsPerMinute } = options

  function read(path: string, query: URLSearchParams): Answer | undefined {
    switch (path) {
      case 'faults':
        return answerJson(200, { faults: faults.list() })
      case 'journal':
        return answerJson(200, { calls: journal.calls(readFilter(query)) })
      case 'oauth':
        return answerJson(200, { ...oauth.stats(), requests: options.tokenCalls.requests() })
      case 'stats':
        return answerJson(200, { callsPerMinute, accounts: accounts.stats() })
      default:
        return undefined
    }
  }

  function replace(path: string, body: unknown): Answer | undefined {
    if (path === 'faults') {
      const read = readFaultRules(body)
      if (read.status === 'refused') return answerError(400, read.message)
      faults.set(read.rules)
      return answerJson(200, { faults: faults.list() })
    }
    if (path === 'tokens') {
      if (!tokensValidator.Check(body)) return answerError(400, describeRefusal(tokensValidator, body))
      tokens.set(body.tokens, body.acceptsAnyToken)
      return answerJson(200, {})
    }
    return undefined
  }

  function act(path: string, body: unknown): Answer | undefined {
    switch (path) {
      case 'grants':
        if (!grantValidator.Check(body)) return answerError(400, describeRefusal(grantValidator, body))
        return answerJson(201, grants.grant(body))
      case 'revoke':
        if (!revokeValidator.Check(body)) return answerError(400, describeRefusal(revokeValidator, body))
        return grants.revoke(body.token, body) ? answerJson(200, {}) : answerError(404)
      case 'clock':
        if (!clockValidator.Check(body)) return answerError(400, describeRefusal(clockValidator, body))
        options.advanceClock(body.advanceMs)
        return answerJson(200, {})
      default:
        return undefined
    }
  }

  const clearable = new Map<string, { clear(): void }>([
    ['journal', journal],
    ['events', conversions],
    ['faults', faults],
    ['stats', accounts],
  ])

  return async (request, response, path, query) => {
    const { method } = request
    if (method === 'GET' && path === 'events') return sendCounts(response, conversions, query)
    if (method === 'GET') return send(response, read(path, query) ?? answerError(404))
    if (method === 'DELETE') {
      clearable.get(path)?.clear()
      return send(response, clearable.has(path) ? answerJson(200, {}) : answerError(404))
    }
    if (method !== 'PUT' && method !== 'POST') return sendEarly(request, response, answerError(405))
    const bytes = await readBody(request, BODY_LIMIT_BYTES)
    if (!Buffer.isBuffer(bytes)) return sendEarly(request, response, answerError(413))
    const body = parse(bytes)
    if (body === undefined) return send(response, answerError(400, 'The body is not JSON.'))
    send(response, (method === 'PUT' ? replace : act)(path, body) ?? answerError(404))
  }
}

const BODY_LIMIT_BYTES = 16 * 2 ** 20
const CALLS_SHOWN = 100

const tokensValidator = Compile(
  Type.Object(
    {
      tokens: Type.Array(
        Type.Object(
          {
            accessToken: Type.String({ minLength: 1 }),
            adAccountIds: Type.Optional(Type.Array(Type.String())),
            expiresAtMs: Type.Optional(Type.Number()),
            scopes: Type.Optional(Type.Array(Type.String())),
            isConversionToken: Type.Optional(Type.Boolean()),
          },
          { additionalProperties: false },
        ),
      ),
      acceptsAnyToken: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false },
  ),
)

const grantValidator = Compile(
  Type.Object(
    {
      clientId: Type.String({ minLength: 1 }),
      scope: Type.Optional(Type.String({ minLength: 1 })),
      user: Type.Optional(Type.String()),
    },
    { additionalProperties: false },
  ),
)

const revokeValidator = Compile(
  Type.Object(
    { token: Type.String({ minLength: 1 }), andMinted: Type.Optional(Type.Boolean()) },
    { additionalProperties: false },
  ),
)

const clockValidator = Compile(
  Type.Object({ advanceMs: Type.Number({ minimum: 0 }) }, { additionalProperties: false }),
)

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function readFilter(query: URLSearchParams): JournalFilter {
  const adAccountId = query.get('ad_account_id')
  const since = query.get('since')
  return {
    ...(adAccountId !== null && { adAccountId }),
    ...(since !== null && { since: Number(since) }),
    limit: Number(query.get('limit') ?? CALLS_SHOWN),
  }
}

/** In parts, since a million event ids are much for one text. */
async function sendCounts(
  response: ServerResponse,
  conversions: Conversions,
  query: URLSearchParams,
): Promise<void> {
  const adAccountId = query.get('ad_account_id')
  if (adAccountId === null) return send(response, answerError(400, "'ad_account_id' is a required parameter"))
  const summary = { adAccountId, ...conversions.summary(adAccountId) }
  if (query.get('counts') === 'false') return send(response, answerJson(200, summary))
  const counts = conversions.counts(adAccountId)

  function* pieces(): Generator<string> {
    let piece = `${JSON.stringify(summary).slice(0, -1)},"counts":{`
    let separator = ''
    for (const [eventId, count] of counts) {
      piece += `${separator}${JSON.stringify(eventId)}:${count}`
      separator = ','
      if (piece.length < PIECE_LENGTH) continue
      yield piece
      piece = ''
    }
    yield `${piece}}}`
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  await pipeline(Readable.from(pieces()), response)
}

const PIECE_LENGTH = 64 * 1024
