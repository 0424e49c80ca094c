/**
 * The bodies of Pinterest's answers. The common one, every event processed without a word, depends on nothing but the
 * number of events and is made once per number.
 */
import type { EventResult } from './judge.ts'
import { MAX_EVENTS_PER_CALL } from './schema.ts'

export interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly headers?: Readonly<Record<string, string>>
}

/** Pinterest's codes. Not taken from the relay's own table: the stand-in is there to contradict it. */
const CODES: Readonly<Record<number, { readonly code: number; readonly message: string }>> = {
  400: { code: 4196, message: 'The request was invalid.' },
  401: { code: 2, message: 'Authentication failed.' },
  403: { code: 29, message: 'You are not permitted to access that resource.' },
  404: { code: 12, message: 'API method not found.' },
  405: { code: 12, message: 'Method not allowed.' },
  413: { code: 4196, message: 'The body is too large.' },
  415: { code: 4196, message: 'The body is not application/json.' },
  422: { code: 953, message: 'Not all events were successfully processed.' },
  429: {
    code: 8,
    message:
      'This request exceeded a rate limit. This can happen if the client exceeds one\nof the published rate limits within a short time window.',
  },
  503: {
    code: 4197,
    message: 'The endpoint has been ramped down and is currently not accepting any traffic.',
  },
}

export function answerError(status: number, message?: string, headers?: Record<string, string>): Answer {
  const usual = CODES[status] ?? { code: 1, message: 'Something went wrong.' }
  const body = Buffer.from(JSON.stringify({ code: usual.code, message: message ?? usual.message }))
  return headers === undefined ? { status, body } : { status, body, headers }
}

/** 200, or 422 with the same details if an event failed (`failedStatus` says otherwise). */
export function answerResults(
  count: number,
  results: readonly EventResult[] | undefined,
  failedStatus: 200 | 422 = 422,
): Answer {
  if (results === undefined) return (cleanAnswers[count] ??= { status: 200, body: cleanBody(count) })
  const processed = results.reduce((sum, { status }) => sum + (status === 'processed' ? 1 : 0), 0)
  const details = { num_events_received: count, num_events_processed: processed, events: results }
  if (processed === count || failedStatus === 200) {
    return { status: 200, body: Buffer.from(JSON.stringify(details)) }
  }
  return { status: 422, body: Buffer.from(JSON.stringify({ ...CODES[422], details })) }
}

export function answerJson(status: number, value: unknown): Answer {
  return { status, body: Buffer.from(JSON.stringify(value)) }
}

const cleanAnswers: (Answer | undefined)[] = Array.from({ length: MAX_EVENTS_PER_CALL + 1 }, () => undefined)

function cleanBody(count: number): Buffer {
  const entries = Array.from(
    { length: count },
    () => '{"status":"processed","error_message":"","warning_message":""}',
  )
  return Buffer.from(
    `{"num_events_received":${count},"num_events_processed":${count},"events":[${entries.join(',')}]}`,
  )
}
