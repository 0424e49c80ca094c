/**
 * What would become of one event: what was given and how it is normalized (both masked), its hashes, its warnings, and the
 * exact JSON that Pinterest would get. The event goes through `prepareEvent` as any other; its customer data is then normalized
 * once more, with somebody who looks on, since a hash does not tell what was hashed. Pure.
 */
import { decodeEntities } from './entities.ts'
import { FILTERED } from './filtered.ts'
import { sha256Hex } from './hash.ts'
import { unpackEvent } from './lists.ts'
import { maskValue } from './mask.ts'
import { isHashedField, type NormalizedField, type UserDataField } from './normalize/field.ts'
import { prepareEvent, type Prepared, type PrepareContext } from './prepare.ts'
import { isObject, type RawObject } from './reading.ts'
import { createReport } from './report.ts'
import { normalizeUserData } from './user-data.ts'
import { WARNINGS, type WarningCode } from './warning.ts'

/** One value of a field of `user_data`. */
export interface ExplainedField {
  /** With an index where the field came as a list. */
  readonly path: string
  readonly field: string
  /** Masked. */
  readonly given: string
  /** Masked; null when it is dropped, or came hashed. */
  readonly normalized: string | null
  /** What is sent for it; null when it is dropped, or sent as text. */
  readonly hash: string | null
  /** Null when there is nothing to say. */
  readonly note: string | null
}

export interface ExplainedEvent {
  readonly status: Prepared['status']
  readonly event_name: string | null
  readonly event_id: string | null
  /** Why it is invalid or filtered: a stable word, the field at fault, and both in a sentence. */
  readonly reason: string | null
  readonly path: string | null
  readonly message: string | null
  /** The exact text that Pinterest would get; null when the event is invalid or filtered. */
  readonly json: string | null
  readonly warnings: readonly {
    readonly code: WarningCode
    readonly path: string
    readonly message: string
  }[]
  readonly fields: readonly ExplainedField[]
}

const MAX_TEXT_LENGTH = 200

export function explainEvent(given: unknown, context: PrepareContext): ExplainedEvent {
  const raw = unpackEvent(given)
  const explained = explainPrepared(prepareEvent(raw, context))
  if (!isObject(raw)) return explained
  return {
    ...explained,
    event_name: explained.event_name ?? textOf(raw['event_name']),
    event_id: explained.event_id ?? textOf(raw['event_id']),
    fields: isObject(raw['user_data']) ? explainUserData(raw['user_data'], raw, context) : [],
  }
}

/** Without its fields. */
export function explainPrepared(prepared: Prepared): ExplainedEvent {
  const { status, eventName = null } = prepared
  const event = {
    status,
    event_name: eventName,
    event_id: (status !== 'invalid' && prepared.eventId) || null,
    reason: status === 'prepared' ? null : prepared.reason,
    path: null,
    message: null,
    json: status === 'prepared' ? prepared.json : null,
    warnings: prepared.warnings.map(({ code, path, hint }) => ({
      code,
      path,
      message: WARNINGS[code].text + (hint === undefined ? '' : ` (${hint})`),
    })),
    fields: [],
  }
  if (status === 'prepared') return event
  if (status === 'invalid') return { ...event, path: prepared.path, message: prepared.message }
  const path = prepared.reason === 'bot_user_agent' ? 'user_data.client_user_agent' : null
  return { ...event, path, message: FILTERED[prepared.reason] }
}

/** An invalid event has the name and id that it came with, so that its sender finds it. */
function textOf(value: unknown): string | null {
  const isText = typeof value === 'string' || typeof value === 'number'
  return isText ? String(value).slice(0, MAX_TEXT_LENGTH) : null
}

function explainUserData(userData: RawObject, event: RawObject, context: PrepareContext): ExplainedField[] {
  const explained: ExplainedField[] = []
  const url = event['event_source_url']
  const page = typeof url === 'string' ? decodeEntities(url) : undefined
  normalizeUserData(userData, page, context, createReport(), (field, path, value, normalized) =>
    explained.push({ path, field, ...explainValue(field, value, normalized) }),
  )
  return explained
}

function explainValue(field: UserDataField, value: unknown, normalized: NormalizedField) {
  const shown = { given: maskValue(value), normalized: null, hash: null }
  switch (normalized.status) {
    case 'hashed': {
      const { hash } = normalized
      return { ...shown, given: `${hash.slice(0, 8)}…`, hash, note: 'Hashed by the sender.' }
    }
    case 'dropped':
      return { ...shown, note: WARNINGS[normalized.code].text }
    case 'read': {
      const { value: text, warning } = normalized
      const isHashed = isHashedField(field)
      const note = warning === undefined ? (isHashed ? null : 'Text, not hashed.') : WARNINGS[warning].text
      return { ...shown, normalized: maskValue(text), hash: isHashed ? sha256Hex(text) : null, note }
    }
  }
}
