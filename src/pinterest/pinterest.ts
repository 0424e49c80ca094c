/**
 * The only code that knows Pinterest's wire: one call, one outcome, no retries of its own. It never rejects and never
 * follows a redirect (a bearer token must not be sent to another address).
 */
import type { Settings } from '../settings.ts'
import {
  asObject,
  parseJson,
  createUpstream,
  type Exchanged,
  type Unanswered,
  type UpstreamOptions,
} from './upstream.ts'

export interface PinterestOptions extends UpstreamOptions {
  readonly settings: UpstreamOptions['settings'] & Pick<Settings, 'CALLS_IN_FLIGHT_TOTAL'>
}

export interface EventsCall {
  readonly adAccountId: string
  readonly isTest: boolean
  /** The bearer token. */
  readonly token: string
  /** The whole request body. */
  readonly body: Uint8Array
}

/** Pinterest's message about one event; `''` without one. */
export interface EventResult {
  readonly status: 'processed' | 'failed'
  readonly errorMessage: string
  readonly warningMessage: string
}

export type CallOutcome =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Pinterest's error code, if the body had one. */
      readonly code: number | undefined
      /** Pinterest's error text, not scrubbed yet. */
      readonly message: string
      /** The header as it came. */
      readonly retryAfter: string | undefined
      /** Per-event results, if the body had them in a form that can be read; their number is not checked. */
      readonly results: readonly EventResult[] | undefined
      /** How many events it says were processed, if it does. */
      readonly processedCount: number | undefined
    }
  | Unanswered

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
