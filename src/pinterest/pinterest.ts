/**
 * The only code that knows Pinterest's wire: one call, one outcome, no retries of its own. It never rejects and never
 * follows a redirect (a bearer token must not travel to where an answer points).
 */
import type { Settings } from '../settings.ts'
import { exchange } from './exchange.ts'
import type { CallOutcome, EventResult, EventsCall, Pinterest } from './outcome.ts'
import { asObject, parseObject, reasonOf } from './read-answer.ts'
import { createUpstream, type UpstreamOptions } from './upstream.ts'

export interface PinterestOptions extends UpstreamOptions {
  readonly settings: UpstreamOptions['settings'] & Pick<Settings, 'CALLS_IN_FLIGHT_TOTAL'>
}

/** 1,000 events with a long warning each stay far below this; more is not an answer worth holding in memory. */
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024

export function createPinterest(options: PinterestOptions): Pinterest {
  const { settings, userAgent } = options
  const limits = { timeoutMs: settings.CALL_TIMEOUT_MS, answerBytes: ANSWER_LIMIT_BYTES }
  const { origin, basePath, dispatcher } = createUpstream(options, {
    connections: settings.CALLS_IN_FLIGHT_TOTAL,
    keepAliveTimeout: 20_000,
  })

  async function sendEvents({ adAccountId, isTest, token, body }: EventsCall): Promise<CallOutcome> {
    const request = {
      origin,
      path: `${basePath}/ad_accounts/${adAccountId}/events${isTest ? '?test=true' : ''}`,
      method: 'POST' as const,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': userAgent,
      },
      body,
    }
    const exchanged = await exchange(dispatcher, request, limits)
    switch (exchanged.kind) {
      case 'answered':
        return readAnswer(exchanged.status, exchanged.retryAfter, exchanged.text)
      case 'timeout':
      case 'too_large':
        return { kind: 'unanswered', reason: exchanged.kind }
      case 'failed':
        return { kind: 'unanswered', reason: reasonOf(exchanged.error) }
    }
  }

  return { sendEvents, close: () => dispatcher.destroy() }
}

function readAnswer(status: number, retryAfter: string | undefined, text: string): CallOutcome {
  const body = parseObject(text)
  // A 200 carries the results itself, a 422 in its `details`.
  const results = readResults(body) ?? readResults(asObject(body?.details))
  return {
    kind: 'answered',
    status,
    code: typeof body?.code === 'number' ? body.code : undefined,
    message: typeof body?.message === 'string' ? body.message : '',
    retryAfter,
    results,
  }
}

function readResults(body: Record<string, unknown> | undefined): EventResult[] | undefined {
  if (!Array.isArray(body?.events)) return undefined
  const results: EventResult[] = []
  for (const entry of body.events as unknown[]) {
    const { status, error_message: error, warning_message: warning } = asObject(entry) ?? {}
    if (status !== 'processed' && status !== 'failed') return undefined
    results.push({ status, errorMessage: text(error), warningMessage: text(warning) })
  }
  return results
}

/** Pinterest writes "no message" as an empty text, as null, or not at all. */
function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
