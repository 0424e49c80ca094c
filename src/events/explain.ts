/**
 * What would become of one event: what was given and how it is normalized (both masked), its hashes, its warnings, and the
 * exact JSON that Pinterest would get. The event goes through `prepareEvent` as any other; the fields are then normalized
 * once more, by the same rules, since a hash does not tell what was hashed. Pure.
 */
import { withClickId } from './click-id.ts'
import { isObject, type RawObject, unpackEvent } from './coerce/object.ts'
import { decodeEntities } from './entities.ts'
import { FILTERED } from './filtered.ts'
import { sha256Hex } from './hash.ts'
import { listOr } from './lists.ts'
import { maskValue } from './mask.ts'
import {
  createNormalizer,
  HASHED_FIELD_NAMES,
  type NormalizeValue,
  TEXT_FIELD_NAMES,
  type UserDataField,
} from './normalize/field.ts'
import { regionOf } from './normalize/user-data.ts'
import { prepareEvent, type Prepared, type PrepareContext } from './prepare.ts'
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
  readonly warnings: readonly {
    readonly code: WarningCode
    readonly path: string
    readonly message: string
  }[]
  readonly fields: readonly ExplainedField[]
  /** The exact text that Pinterest would get; null when the event is invalid or filtered. */
  readonly json: string | null
}

/** As many values of one field as `prepareEvent` reads. */
const MAX_VALUES = 20
const MAX_TEXT_LENGTH = 200

export function explainEvent(given: unknown, context: PrepareContext): ExplainedEvent {
  const raw = unpackEvent(given)
  const userData: unknown = isObject(raw) ? raw['user_data'] : undefined
  const explained = explainPrepared(prepareEvent(raw, context))
  return {
    ...explained,
    event_name: explained.event_name ?? textOf(raw, 'event_name'),
    event_id: explained.event_id ?? textOf(raw, 'event_id'),
    fields: isObject(userData) ? explainUserData(complete(raw as RawObject, userData, context), context) : [],
  }
}

/** Without its fields. */
export function explainPrepared(prepared: Prepared): ExplainedEvent {
  return {
    ...explainOutcome(prepared),
    warnings: prepared.warnings.map(({ code, path, hint }) => ({
      code,
      path,
      message: WARNINGS[code].text + (hint === undefined ? '' : ` (${hint})`),
    })),
    fields: [],
  }
}

/** With the click id of the page's address, if it is missing. */
function complete(
  { event_source_url: url }: RawObject,
  userData: RawObject,
  context: PrepareContext,
): RawObject {
  return typeof url === 'string' ? withClickId(userData, decodeEntities(url), context) : userData
}

function explainOutcome(prepared: Prepared) {
  const { status } = prepared
  switch (prepared.status) {
    case 'prepared': {
      const { eventName, eventId, json } = prepared
      return {
        status,
        event_name: eventName,
        event_id: eventId,
        reason: null,
        path: null,
        message: null,
        json,
      }
    }
    case 'filtered': {
      const { eventName, eventId, reason } = prepared
      const path = reason === 'bot_user_agent' ? 'user_data.client_user_agent' : null
      const message = FILTERED[reason]
      return {
        status,
        event_name: eventName ?? null,
        event_id: eventId ?? null,
        reason,
        path,
        message,
        json: null,
      }
    }
    case 'invalid': {
      const { eventName = null, reason, path, message } = prepared
      return { status, event_name: eventName, event_id: null, reason, path, message, json: null }
    }
  }
}

/** An invalid event has the name and id that it came with, so that its sender finds it. */
function textOf(raw: unknown, name: 'event_name' | 'event_id'): string | null {
  const value: unknown = isObject(raw) ? raw[name] : undefined
  return typeof value === 'string' || typeof value === 'number'
    ? String(value).slice(0, MAX_TEXT_LENGTH)
    : null
}

function explainUserData(userData: RawObject, context: PrepareContext): ExplainedField[] {
  const normalize = createNormalizer(regionOf(userData, context))
  return [...HASHED_FIELD_NAMES, ...TEXT_FIELD_NAMES].flatMap((field) => {
    const value = listOr(userData[field])
    const path = `user_data.${field}`
    if (!Array.isArray(value)) return isGiven(value) ? [explainValue(field, path, value, normalize)] : []
    return (value as readonly unknown[])
      .slice(0, MAX_VALUES)
      .flatMap((one, index) =>
        isGiven(one) ? [explainValue(field, `${path}[${index}]`, one, normalize)] : [],
      )
  })
}

function isGiven(value: unknown): boolean {
  return value !== null && value !== undefined
}

function explainValue(
  field: UserDataField,
  path: string,
  value: unknown,
  normalize: NormalizeValue,
): ExplainedField {
  const normalized = normalize(field, value)
  const shown = { path, field, given: maskValue(value), normalized: null, hash: null }
  switch (normalized.status) {
    case 'hashed': {
      const { hash } = normalized
      return { ...shown, given: `${hash.slice(0, 8)}…`, hash, note: 'Hashed by the sender.' }
    }
    case 'dropped':
      return { ...shown, note: WARNINGS[normalized.code].text }
    case 'normalized': {
      const { text, warning } = normalized
      const isText = TEXT_NAMES.has(field)
      const hash = isText ? null : sha256Hex(text)
      const note = warning === undefined ? (isText ? 'Text, not hashed.' : null) : WARNINGS[warning].text
      return { ...shown, normalized: maskValue(text), hash, note }
    }
  }
}

const TEXT_NAMES: ReadonlySet<string> = new Set(TEXT_FIELD_NAMES)
