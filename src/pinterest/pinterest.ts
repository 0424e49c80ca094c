/**
 * The only code that knows Pinterest's wire: one call, one outcome, no retries of its own. It never rejects and never
 * follows a redirect (a bearer token must not be sent to another address).
 */
import type { Settings } from '../settings.ts'
import { asObject, parseJson, createUpstream, type Exchanged, type UpstreamOptions } from './upstream.ts'
import type { CallOutcome, EventResult, EventsCall } from './outcome.ts'

export interface PinterestOptions extends UpstreamOptions {
  readonly settings: UpstreamOptions['settings'] & Pick<Settings, 'CALLS_IN_FLIGHT_TOTAL'>
}

/** 1,000 events with a long warning each stay far below this; more is not an answer worth holding in memory. */
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024

export type Pinterest = ReturnType<typeof createPinterest>

export function createPinterest(options: PinterestOptions) {
  const upstream = createUpstream(options, {
    answerBytes: ANSWER_LIMIT_BYTES,
    connections: options.settings.CALLS_IN_FLIGHT_TOTAL,
    keepAliveTimeout: 20_000,
  })

  async function sendEvents({ adAccountId, isTest, token, body }: EventsCall): Promise<CallOutcome> {
    const path = `/ad_accounts/${adAccountId}/events${isTest ? '?test=true' : ''}`
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const exchanged = await upstream.ask({ method: 'POST', path, headers, body })
    return exchanged.kind === 'answered' ? readAnswer(exchanged) : exchanged
  }

  return { sendEvents, close: () => upstream.close() }
}

function readAnswer({ text, ...answered }: Extract<Exchanged, { kind: 'answered' }>): CallOutcome {
  const body = asObject(parseJson(text))
  const { num_events_processed: count } = body ?? {}
  return {
    ...answered,
    code: typeof body?.code === 'number' ? body.code : undefined,
    message: typeof body?.message === 'string' ? body.message : '',
    // A 200 carries the results itself, a 422 in its `details`.
    results: readResults(body) ?? readResults(asObject(body?.details)),
    processedCount: typeof count === 'number' ? count : undefined,
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
