/** The answers to posts whose body could be read: Pinterest's bodies without further members, which strict clients refuse. */
import type { EventOutcome } from '../delivery/batch.ts'
import { PINTEREST_CODES } from '../errors.ts'
import type { PostReceipt } from '../store/engine/posts.ts'
import { Type, type Static } from '../type.ts'

export type PostAnswer = ReturnType<typeof answerPost>

/** What Pinterest's clients know of an event: only `processed` and `failed` exist for them. */
export const EventAnswerSchema = Type.Closed({
  status: Type.Unsafe<'processed' | 'failed'>({ type: 'string', enum: ['processed', 'failed'] }),
  error_message: Type.String(),
  warning_message: Type.String({ description: "The relay's own warnings join Pinterest's." }),
})
export type EventAnswer = Readonly<Static<typeof EventAnswerSchema>>

/**
 * `outcomes`: of each event of the receipt's batch, in its order. 202 only where the client `knows202`, since it asked with
 * `Prefer`: Pinterest's own description has no 202, and some clients read it as an error.
 */
export function answerPost(
  receipt: Pick<PostReceipt, 'eventCount' | 'remarks' | 'duplicates' | 'pendingDuplicates'>,
  outcomes: readonly EventOutcome[],
  knows202: boolean,
) {
  const { eventCount, remarks, duplicates, pendingDuplicates } = receipt
  const counts = {
    events: eventCount,
    invalid: 0,
    rejected: 0,
    filtered: 0,
    duplicates: 0,
    // Committed, not confirmed yet. A duplicate counts if the event that it repeats is.
    queued: pendingDuplicates,
  }
  let remarked = 0
  let valid = 0
  let stored = 0
  function answerNext(index: number): EventAnswer {
    const { status, error, warnings } = remarks[remarked]?.index === index ? remarks[remarked++]! : NO_REMARK
    if (status === 'invalid') {
      counts.invalid++
      return { status: 'failed', error_message: error, warning_message: warnings }
    }
    if (status === 'filtered') {
      counts.filtered++
      return processed('filtered', warnings)
    }
    if (valid++ === duplicates[counts.duplicates]) {
      counts.duplicates++
      return processed('duplicate', warnings)
    }
    const outcome = outcomes[stored++]!
    if (outcome.status === 'queued') counts.queued++
    if (outcome.status === 'rejected') counts.rejected++
    return answerEvent(outcome, warnings)
  }
  let failed = 0
  const texts: string[] = []
  for (let index = 0; index < eventCount; index++) {
    const event = answerNext(index)
    if (event.status === 'failed') failed++
    // By hand: most events have the same text.
    texts.push(event === PROCESSED ? PROCESSED_TEXT : JSON.stringify(event))
  }
  const results = `{"num_events_received":${eventCount},"num_events_processed":${eventCount - failed},"events":[${texts.join(',')}]}`
  if (failed === 0) return { status: knows202 && counts.queued > 0 ? 202 : 200, body: results, counts }
  const message = `${failed} of ${eventCount} events are invalid or rejected; see details.events.`
  const body = `{"code":${PINTEREST_CODES.partlyProcessed},"message":"${message}","details":${results}}`
  return { status: 422, body, counts }
}

const NO_REMARK = { status: 'prepared', error: '', warnings: '' } as const
export const QUEUED_WARNING = 'queued by the relay, not yet confirmed by Pinterest'

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
        error_message: outcome.errorMessage || 'Pinterest rejected the event without a reason.',
        warning_message: join(outcome.warningMessage, warnings),
      }
  }
}

/** A delivered event without warnings. */
export const PROCESSED: EventAnswer = { status: 'processed', error_message: '', warning_message: '' }
const PROCESSED_TEXT = JSON.stringify(PROCESSED)

function processed(message: string, warnings: string): EventAnswer {
  if (message === '' && warnings === '') return PROCESSED
  return { status: 'processed', error_message: '', warning_message: join(message, warnings) }
}

function join(message: string, warnings: string): string {
  return message === '' || warnings === '' ? message + warnings : `${message}; ${warnings}`
}
