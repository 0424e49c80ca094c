/** The bodies of the public port, in Pinterest's form. */
import { PINTEREST_CODES } from '../errors.ts'

/** Pinterest's word on one event. Only `processed` and `failed` exist for its clients. */
export interface EventAnswer {
  readonly status: 'processed' | 'failed'
  readonly error_message: string
  readonly warning_message: string
}

export interface PostAnswer {
  readonly status: 200 | 202 | 422
  /** JSON. */
  readonly body: string
}

export const QUEUED_WARNING = 'queued by the relay, not yet confirmed by Pinterest'

/** `queuedCount`: events that are committed and not confirmed. */
export function answerPost(events: readonly EventAnswer[], queuedCount: number): PostAnswer {
  if (queuedCount === 0 && events.every((event) => event === PROCESSED)) return allProcessed(events.length)
  const failedCount = events.filter(({ status }) => status === 'failed').length
  const results = {
    num_events_received: events.length,
    num_events_processed: events.length - failedCount,
    events,
  }
  const relay = queuedCount > 0 ? { relay: { queued: queuedCount } } : {}
  if (failedCount > 0) {
    const message = `${failedCount} of ${events.length} events were refused; see details.events.`
    const body = { code: PINTEREST_CODES.partlyProcessed, message, details: results, ...relay }
    return { status: 422, body: JSON.stringify(body) }
  }
  return { status: queuedCount > 0 ? 202 : 200, body: JSON.stringify({ ...results, ...relay }) }
}

/** An event that Pinterest took, and of which there is nothing to say. */
export const PROCESSED: EventAnswer = { status: 'processed', error_message: '', warning_message: '' }

/** Nearly every answer is one of these, and the same for the same number of events. */
const SILENT_ANSWERS = new Map<number, PostAnswer>()

/** Larger ones are written anew: a thousand of them, kept, would be some 35 MB. */
const LARGEST_KEPT_ANSWER = 32

function allProcessed(count: number): PostAnswer {
  let answer = SILENT_ANSWERS.get(count)
  if (answer === undefined) {
    const events = Array.from({ length: count }, () => PROCESSED)
    const results = { num_events_received: count, num_events_processed: count, events }
    answer = { status: 200, body: JSON.stringify(results) }
    if (count <= LARGEST_KEPT_ANSWER) SILENT_ANSWERS.set(count, answer)
  }
  return answer
}

export function joinMessages(...messages: readonly string[]): string {
  return messages.filter((message) => message !== '').join('; ')
}
