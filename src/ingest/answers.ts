/** The answers to posts whose body could be read, in Pinterest's form. */
import type { EventOutcome } from '../delivery/batch.ts'
import { PINTEREST_CODES } from '../errors.ts'
import type { Prepared } from '../events/prepare.ts'
import { renderWarnings } from '../events/warning.ts'
import type { Receipt } from '../store/store.ts'

export interface PostAnswer {
  readonly status: 200 | 202 | 422
  /** JSON. */
  readonly body: string
  /** For the log line and the trace. */
  readonly counts: {
    readonly events: number
    readonly invalid: number
    readonly rejected: number
    readonly duplicates: number
    /** Events that are committed and not confirmed. */
    readonly queued: number
  }
}

/** What Pinterest's clients know of an event: only `processed` and `failed` exist for them. */
interface EventAnswer {
  readonly status: 'processed' | 'failed'
  readonly error_message: string
  readonly warning_message: string
}

/** `outcomes`: of each event of the receipt's batch, in its order. */
export function answerPost(
  prepared: readonly Prepared[],
  { duplicates, pendingDuplicates }: Pick<Receipt, 'duplicates' | 'pendingDuplicates'>,
  outcomes: readonly EventOutcome[],
): PostAnswer {
  // A duplicate of an event that still waits is no more delivered than that one.
  const counts = {
    events: prepared.length,
    invalid: 0,
    rejected: 0,
    duplicates: 0,
    queued: pendingDuplicates,
  }
  let valid = 0
  let stored = 0
  const events = prepared.map((event): EventAnswer => {
    const warnings = event.warnings.length === 0 ? '' : renderWarnings(event.warnings)
    if (event.status === 'invalid') {
      counts.invalid++
      return { status: 'failed', error_message: event.message, warning_message: warnings }
    }
    if (valid++ === duplicates[counts.duplicates]) {
      counts.duplicates++
      return processed('duplicate', warnings)
    }
    const outcome = outcomes[stored++]!
    if (outcome.status === 'queued') counts.queued++
    if (outcome.status === 'rejected') counts.rejected++
    return answerEvent(outcome, warnings)
  })
  return { ...render(events, counts.queued), counts }
}

const QUEUED_WARNING = 'queued by the relay, not yet confirmed by Pinterest'

function answerEvent(outcome: EventOutcome, warnings: string): EventAnswer {
  switch (outcome.status) {
    case 'delivered':
      return processed(outcome.warningMessage, warnings)
    case 'queued':
      return processed(QUEUED_WARNING, warnings)
    case 'rejected':
    case 'expired':
      return {
        status: 'failed',
        error_message: outcome.errorMessage || 'Pinterest refused the event without a reason.',
        warning_message: join(outcome.warningMessage, warnings),
      }
  }
}

/** An event that Pinterest took, and of which there is nothing to say. */
const PROCESSED: EventAnswer = { status: 'processed', error_message: '', warning_message: '' }

function processed(message: string, warnings: string): EventAnswer {
  return message === '' && warnings === ''
    ? PROCESSED
    : { status: 'processed', error_message: '', warning_message: join(message, warnings) }
}

function join(message: string, warnings: string): string {
  return message === '' || warnings === '' ? message + warnings : `${message}; ${warnings}`
}

function render(events: readonly EventAnswer[], queued: number): Pick<PostAnswer, 'status' | 'body'> {
  if (queued === 0 && events.every((event) => event === PROCESSED)) return allProcessed(events.length)
  const failed = events.filter(({ status }) => status === 'failed').length
  const results = {
    num_events_received: events.length,
    num_events_processed: events.length - failed,
    events,
  }
  const relay = queued > 0 ? { relay: { queued } } : {}
  if (failed > 0) {
    const message = `${failed} of ${events.length} events were refused; see details.events.`
    const body = { code: PINTEREST_CODES.partlyProcessed, message, details: results, ...relay }
    return { status: 422, body: JSON.stringify(body) }
  }
  return { status: queued > 0 ? 202 : 200, body: JSON.stringify({ ...results, ...relay }) }
}

/** Nearly every answer is one of these, and the same for the same number of events. */
const ALL_PROCESSED = new Map<number, string>()
/** Larger ones are rendered each time: a thousand of them, kept, would be some 35 MB. */
const LARGEST_KEPT_ANSWER = 32

function allProcessed(count: number): Pick<PostAnswer, 'status' | 'body'> {
  let body = ALL_PROCESSED.get(count)
  if (body === undefined) {
    const events = Array.from({ length: count }, () => PROCESSED)
    body = JSON.stringify({ num_events_received: count, num_events_processed: count, events })
    if (count <= LARGEST_KEPT_ANSWER) ALL_PROCESSED.set(count, body)
  }
  return { status: 200, body }
}
