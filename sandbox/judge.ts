/**
 * What Pinterest says to the body of a call. A body that breaks the schema costs the whole call; what is wrong with an
 * event beyond its types costs that event alone. Pure; the answer's bytes are made in `answer.ts`.
 */
import { Compile } from 'typebox/schema'

import { describeRefusal } from './refusal.ts'
import { EnvelopeSchema, EventSchema, HASHED_FIELDS } from './schema.ts'
import type { HashedField, PinterestEvent } from './schema.ts'

export interface EventResult {
  readonly status: 'processed' | 'failed'
  readonly error_message: string
  readonly warning_message: string
}

export type Judgement =
  | { readonly status: 'invalid'; readonly message: string }
  /** `results` is absent when every event was processed without a word: most calls, so they cost no allocation. */
  | {
      readonly status: 'judged'
      readonly events: readonly PinterestEvent[]
      readonly results: readonly EventResult[] | undefined
    }

export const CLEAN: EventResult = Object.freeze({
  status: 'processed',
  error_message: '',
  warning_message: '',
})

export function judgeCall(body: unknown): Judgement {
  if (!envelopeValidator.Check(body)) {
    return { status: 'invalid', message: describeRefusal(envelopeValidator, body) }
  }
  const events = body.data as readonly PinterestEvent[]
  let results: EventResult[] | undefined
  for (const [index, event] of events.entries()) {
    if (!eventValidator.Check(event)) {
      return { status: 'invalid', message: describeRefusal(eventValidator, event) }
    }
    const result = judgeEvent(event)
    if (result === CLEAN) continue
    results ??= Array.from({ length: events.length }, () => CLEAN)
    results[index] = result
  }
  return { status: 'judged', events, results }
}

const envelopeValidator = Compile(EnvelopeSchema)
const eventValidator = Compile(EventSchema)

const ACTION_SOURCES: ReadonlySet<string> = new Set(['app_android', 'app_ios', 'web', 'offline'])

/** Unhashed, these fail the event; the other fields are let through with a warning. */
const STRICTLY_HASHED: ReadonlySet<HashedField> = new Set<HashedField>(['em', 'hashed_maids'])

const NOT_HEX = /[^0-9a-f]/i

/** Half the time of one anchored expression; a call of a thousand events asks eight thousand times. */
function isSha256(value: string): boolean {
  return value.length === 64 && !NOT_HEX.test(value)
}

function judgeEvent({ action_source: actionSource, user_data: userData }: PinterestEvent): EventResult {
  if (!ACTION_SOURCES.has(actionSource)) return failed(`'${actionSource}' is not a valid action_source`)
  let warnings = ''
  for (const field of HASHED_FIELDS) {
    if (userData[field] === undefined || userData[field].every(isSha256)) continue
    const message = `'${field}' is not in sha256 hashed format`
    if (STRICTLY_HASHED.has(field)) return failed(message)
    warnings += warnings === '' ? message : `; ${message}`
  }
  return warnings === '' ? CLEAN : { status: 'processed', error_message: '', warning_message: warnings }
}

export function failed(message: string): EventResult {
  return { status: 'failed', error_message: message, warning_message: '' }
}
