/**
 * Customer data as Pinterest wants it: every identifier spelled the one way that Pinterest hashes, and hashed. What
 * cannot be spelled with confidence is left out with a warning; nothing here refuses an event, throws, or keeps a raw
 * value of a field that is hashed.
 */
import { sha256Hex } from '../hash.ts'
import type { WarningCode } from '../warning.ts'
import * as fields from './field.ts'
import { safeKey } from './path.ts'
import type { Region } from './spelling.ts'

export type RawUserData = Readonly<Record<string, unknown>>

/** Ready for JSON.stringify: hashes in lower-case hex, texts as they are sent. What is absent has no key. */
export type SpelledUserData = {
  readonly [Field in fields.HashedField]?: readonly string[]
} & { readonly [Field in fields.TextField]?: string }

/** What the storefront's account adds to the event. */
export interface SpellingContext {
  /** ISO 3166-1, for events that say no country themselves. */
  readonly accountCountry: string | undefined
  readonly dobFormat: Region['dobFormat']
  readonly nowMs: number
}

/** Gets a path such as `user_data.em[1]`; the index is there if the field came as an array. */
export type Warn = (path: string, code: WarningCode) => void

export function spellUserData(raw: RawUserData, context: SpellingContext, warn: Warn): SpelledUserData {
  const region = regionOf(raw, context)
  const data: Record<string, string | readonly string[]> = {}
  for (const field of fields.HASHED_FIELD_NAMES) {
    if (isAbsent(raw[field])) continue
    const hashes: string[] = []
    forEachValue(field, raw[field], warn, (value, path) => {
      const spelling = fields.spellField(field, value, region)
      warnOf(spelling, path, warn)
      if (spelling.status !== 'dropped') hashes.push(hashOf(field, spelling))
    })
    if (hashes.length > 0) data[field] = hashes.length > 1 ? [...new Set(hashes)] : hashes
  }
  for (const field of fields.TEXT_FIELD_NAMES) {
    if (isAbsent(raw[field]) || !isOne(field, raw[field], warn)) continue
    forEachValue(field, raw[field], warn, (value, path) => {
      const spelling = fields.spellField(field, value, region)
      warnOf(spelling, path, warn)
      if (spelling.status === 'spelled') data[field] = spelling.text
    })
  }
  warnOfUnknownKeys(raw, warn)
  return data
}

/** What `ph`, `zp`, `st` and `db` are read in: the event's country, if it can be spelled, or else the account's. */
export function regionOf(raw: RawUserData, context: SpellingContext): Region {
  const { dobFormat, nowMs } = context
  const nowhere: Region = { country: undefined, dobFormat, nowMs }
  for (const value of [...valuesOf(raw['country']), context.accountCountry]) {
    const spelling = fields.spellField('country', value, nowhere)
    if (spelling.status === 'spelled') return { country: spelling.text, dobFormat, nowMs }
  }
  return nowhere
}

/** Nobody has twenty e-mail addresses; bounds the hashes that one event can ask for. */
const MAX_VALUES = 20

/** Enough to find a mistake by, while an event of a thousand wrong keys does not make a thousand warnings. */
const MAX_UNKNOWN_KEYS = 20

const KNOWN_KEYS: ReadonlySet<string> = new Set([...fields.HASHED_FIELD_NAMES, ...fields.TEXT_FIELD_NAMES])

type Visit = (value: unknown, path: string) => void

function forEachValue(field: fields.UserDataField, raw: unknown, warn: Warn, visit: Visit): void {
  const path = `user_data.${field}`
  if (!Array.isArray(raw)) {
    if (!isAbsent(raw)) visit(raw, path)
    return
  }
  if (raw.length > MAX_VALUES) warn(path, 'too_many_values')
  for (const [index, value] of raw.slice(0, MAX_VALUES).entries()) {
    if (!isAbsent(value)) visit(value, `${path}[${index}]`)
  }
}

/** Which of two user agents is the customer's cannot be told, so that neither is sent. */
function isOne(field: fields.TextField, raw: unknown, warn: Warn): boolean {
  if (!Array.isArray(raw) || raw.filter((value) => !isAbsent(value)).length <= 1) return true
  warn(`user_data.${field}`, 'too_many_values')
  return false
}

function warnOfUnknownKeys(raw: RawUserData, warn: Warn): void {
  const unknown = Object.keys(raw).filter((key) => !KNOWN_KEYS.has(key) && !isAbsent(raw[key]))
  if (unknown.length === 0) return
  const names = new Set(unknown.slice(0, MAX_UNKNOWN_KEYS).map(safeKey))
  for (const name of names) warn(`user_data.${name}`, 'unknown_field')
  if (unknown.length > MAX_UNKNOWN_KEYS) warn('user_data', 'too_many_values')
}

function valuesOf(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? raw.slice(0, MAX_VALUES) : [raw]
}

/** Pinterest's own Python client sends an explicit null for every field that is not set. */
function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

function warnOf(spelling: fields.FieldSpelling, path: string, warn: Warn): void {
  switch (spelling.status) {
    case 'dropped':
      return warn(path, spelling.code)
    case 'spelled':
      return spelling.warning === undefined ? undefined : warn(path, spelling.warning)
    case 'hashed':
  }
}

function hashOf(
  field: fields.HashedField,
  spelling: Exclude<fields.FieldSpelling, { readonly status: 'dropped' }>,
): string {
  if (spelling.status === 'hashed') return spelling.hash
  return CODE_FIELDS.has(field) ? hashOfCode(spelling.text) : sha256Hex(spelling.text)
}

/** Their spellings are a few hundred codes that tell nobody apart: each is hashed once (a hash takes 0.5 µs). */
const CODE_FIELDS: ReadonlySet<fields.HashedField> = new Set(['ge', 'st', 'country'])
const CODE_HASHES = new Map<string, string>()
const MAX_CODE_HASHES = 4096

function hashOfCode(code: string): string {
  let hash = CODE_HASHES.get(code)
  if (hash === undefined) {
    hash = sha256Hex(code)
    if (CODE_HASHES.size < MAX_CODE_HASHES) CODE_HASHES.set(code, hash)
  }
  return hash
}
