/**
 * What the relay would do with one event: its values as given and normalized (both masked), its hashes, its warnings, and the
 * exact JSON that Pinterest would get. The event goes through `prepareEvent` as any other; its customer data is then normalized
 * once more with an observer, since a hash does not show what was hashed. Pure.
 */
import { decodeEntities } from './normalize/clean-text.ts'
import { FILTERED, WARNINGS } from './reasons.ts'
import { sha256Hex } from './hash.ts'
import { unpackEvent } from './lists.ts'
import { FIELDS, type NormalizedField, type UserDataField } from './normalize/field.ts'
import { prepareEvent, type Prepared, type PrepareContext } from './prepare.ts'
import { isObject, type RawObject } from './reading.ts'
import { createReport } from './report.ts'
import { normalizeUserData } from './user-data.ts'

/** In the form of the admin port's answer: see admin/explain.ts. */
export type ExplainedEvent = ReturnType<typeof explainPrepared>

interface ExplainedField extends ReturnType<typeof explainValue> {
  readonly path: string
  readonly field: UserDataField
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

/** The answer for an event, without its fields. */
export function explainPrepared(prepared: Prepared) {
  const { status, eventName = null, warnings } = prepared
  const fields: readonly ExplainedField[] = []
  return {
    status,
    event_name: eventName,
    event_id: status === 'invalid' ? null : (prepared.eventId ?? null),
    ...explainReason(prepared),
    json: status === 'prepared' ? prepared.json : null,
    warnings: warnings.map(({ code, path, hint }) => ({
      code,
      path,
      message: WARNINGS[code].text + (hint === undefined ? '' : ` (${hint})`),
    })),
    fields,
  }
}

/** Why it is invalid or filtered: a stable word, the field at fault, and both in a sentence. */
function explainReason(prepared: Prepared) {
  if (prepared.status === 'prepared') return { reason: null, path: null, message: null }
  const { reason } = prepared
  if (prepared.status === 'invalid') return { reason, path: prepared.path, message: prepared.message }
  const path = reason === 'bot_user_agent' ? 'user_data.client_user_agent' : null
  return { reason, path, message: FILTERED[prepared.reason] }
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

/** Values are masked. `normalized` is null when it is dropped, or came hashed; `hash` when it is dropped, or sent as text. */
function explainValue(
  field: UserDataField,
  value: unknown,
  normalized: NormalizedField,
): {
  readonly given: string
  readonly normalized: string | null
  readonly hash: string | null
  readonly note: string | null
} {
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
      const { isHashed } = FIELDS[field]
      const note = warning === undefined ? (isHashed ? null : 'Text, not hashed.') : WARNINGS[warning].text
      return { ...shown, normalized: maskValue(text), hash: isHashed ? sha256Hex(text) : null, note }
    }
  }
}

/**
 * Shows enough of a customer's value to find a mistake, but not whose it is: the first letter or digit of each side of
 * an `@`, the ending of a domain, all punctuation and space, and how long it is. Short values show nothing but that.
 */
const HIDDEN = '•'
/** Of a shorter one, the first letter would be too large a part. */
const LONG_ENOUGH = 4
const MAX_SHOWN = 100

export function maskValue(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '(a list)' : '(an object)'
  const text = String(value)
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  const at = shown.lastIndexOf('@')
  if (at < 0) return maskPart(shown)
  const domain = shown.slice(at + 1)
  const ending = /\.[a-z]{2,}\s*$/i.exec(domain)?.[0] ?? ''
  return `${maskPart(shown.slice(0, at))}@${maskPart(domain.slice(0, domain.length - ending.length))}${ending}`
}

function maskPart(text: string): string {
  const letters = text.match(/[\p{L}\p{N}]/gu)?.length ?? 0
  let isShown = letters >= LONG_ENOUGH
  return text.replace(/[\p{L}\p{N}\p{M}]/gu, (letter) => {
    const kept = isShown ? letter : HIDDEN
    isShown = false
    return kept
  })
}
