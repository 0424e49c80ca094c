/**
 * Customer data as Pinterest wants it: every identifier normalized the one way that Pinterest hashes, and hashed. What
 * cannot be normalized with confidence is left out with a warning; nothing here makes an event invalid, throws, or keeps a raw
 * value of a field that is hashed.
 */
import { sha256Hex } from '../hash.ts'
import { listOr } from '../lists.ts'
import type { WarningCode } from '../warning.ts'
import { countryOfHash } from './country-names.ts'
import * as fields from './field.ts'
import { safeKey } from './path.ts'
import type { Region } from './normalized.ts'

export type RawUserData = Readonly<Record<string, unknown>>

/** Ready for JSON.stringify: hashes in lower-case hex, texts as they are sent. What is absent has no key. */
export type NormalizedUserData = {
  readonly [Field in fields.HashedField]?: readonly string[]
} & { readonly [Field in fields.TextField]?: string }

/** What the storefront's account adds to the event. */
export interface NormalizeContext {
  /** ISO 3166-1, for events that say no country themselves. */
  readonly accountCountry: string | undefined
  readonly dobFormat: Region['dobFormat']
  readonly nowMs: number
}

/** Gets a path such as `user_data.em[1]`; the index is there if the field came as an array. */
export type Warn = (path: string, code: WarningCode) => void

export function normalizeUserData(
  raw: RawUserData,
  context: NormalizeContext,
  warn: Warn,
): NormalizedUserData {
  const normalize = fields.createNormalizer(regionOf(raw, context))
  const data: Record<string, string | readonly string[]> = {}
  for (const field of fields.HASHED_FIELD_NAMES) {
    const given = raw[field]
    if (isAbsent(given)) continue
    const value = listOr(given)
    const hashes = Array.isArray(value)
      ? hashValues(field, value, normalize, warn)
      : hashValue(field, value, normalize, undefined, warn)
    if (hashes !== undefined) data[field] = hashes
  }
  for (const field of fields.TEXT_FIELD_NAMES) {
    const given = raw[field]
    if (isAbsent(given)) continue
    const value = listOr(given)
    const text = Array.isArray(value)
      ? normalizeOnly(field, value, normalize, warn)
      : normalizeText(field, value, normalize, undefined, warn)
    if (text !== undefined) data[field] = text
  }
  warnOfUnknownKeys(raw, warn)
  return data
}

/**
 * What `ph`, `zp`, `st` and `db` are read in: the event's own country, also where it came hashed. The account's is for
 * events that name none: one that names a country which cannot be read has no region, and its phone is no number of the
 * account's country.
 */
export function regionOf(raw: RawUserData, context: NormalizeContext): Region {
  const { dobFormat, nowMs } = context
  const nowhere: Region = { country: undefined, dobFormat, nowMs }
  const own = raw['country']
  const country =
    (isAbsent(own) ? undefined : readCountries(listOr(own), nowhere)) ??
    (context.accountCountry === undefined ? undefined : readCountry(context.accountCountry, nowhere))
  return typeof country === 'string' ? { country, dobFormat, nowMs } : nowhere
}

/** The first that can be read; false if one was named and none can; undefined if none was named. */
function readCountries(given: unknown, nowhere: Region): string | false | undefined {
  if (!Array.isArray(given)) return readCountry(given, nowhere)
  let found: false | undefined
  for (const value of given.slice(0, MAX_VALUES) as readonly unknown[]) {
    const country = isAbsent(value) ? undefined : readCountry(value, nowhere)
    if (typeof country === 'string') return country
    found ??= country
  }
  return found
}

function readCountry(given: unknown, nowhere: Region): string | false | undefined {
  const normalized = fields.normalizeField('country', given, nowhere)
  switch (normalized.status) {
    case 'normalized':
      return normalized.text
    case 'hashed':
      return countryOfHash(normalized.hash) ?? false
    case 'dropped':
      return normalized.code === 'placeholder' ? undefined : false
  }
}

/** Nobody has twenty e-mail addresses; bounds the hashes that one event can ask for. */
const MAX_VALUES = 20

/** Enough to find a mistake by, while an event of a thousand wrong keys does not make a thousand warnings. */
const MAX_UNKNOWN_KEYS = 20

const KNOWN_KEYS: ReadonlySet<string> = new Set([...fields.HASHED_FIELD_NAMES, ...fields.TEXT_FIELD_NAMES])

/** Where a value stands; undefined for the field's only one, which came without an array around it. */
type Index = number | undefined

/** A list of its one hash, unless the value is dropped. */
function hashValue(
  field: fields.HashedField,
  value: unknown,
  normalize: fields.NormalizeValue,
  index: Index,
  warn: Warn,
): readonly string[] | undefined {
  const normalized = normalize(field, value)
  warnOf(normalized, field, index, warn)
  return normalized.status === 'dropped' ? undefined : [hashOf(field, normalized)]
}

function hashValues(
  field: fields.HashedField,
  values: readonly unknown[],
  normalize: fields.NormalizeValue,
  warn: Warn,
): readonly string[] | undefined {
  if (values.length > MAX_VALUES) warn(`user_data.${field}`, 'too_many_values')
  const hashes: string[] = []
  for (const [index, value] of values.slice(0, MAX_VALUES).entries()) {
    if (!isAbsent(value)) hashes.push(...(hashValue(field, value, normalize, index, warn) ?? []))
  }
  if (hashes.length === 0) return undefined
  return hashes.length > 1 ? [...new Set(hashes)] : hashes
}

function normalizeText(
  field: fields.TextField,
  value: unknown,
  normalize: fields.NormalizeValue,
  index: Index,
  warn: Warn,
): string | undefined {
  const normalized = normalize(field, value)
  warnOf(normalized, field, index, warn)
  return normalized.status === 'normalized' ? normalized.text : undefined
}

/** Which of two user agents is the customer's cannot be told, so that neither is sent. */
function normalizeOnly(
  field: fields.TextField,
  values: readonly unknown[],
  normalize: fields.NormalizeValue,
  warn: Warn,
): string | undefined {
  const path = `user_data.${field}`
  if (values.filter((value) => !isAbsent(value)).length > 1) {
    warn(path, 'too_many_values')
    return undefined
  }
  if (values.length > MAX_VALUES) warn(path, 'too_many_values')
  const index = values.slice(0, MAX_VALUES).findIndex((value) => !isAbsent(value))
  return index === -1 ? undefined : normalizeText(field, values[index], normalize, index, warn)
}

function warnOfUnknownKeys(raw: RawUserData, warn: Warn): void {
  const unknown: string[] = []
  for (const key of Object.keys(raw)) if (!KNOWN_KEYS.has(key) && !isAbsent(raw[key])) unknown.push(key)
  if (unknown.length === 0) return
  const names = new Set(unknown.slice(0, MAX_UNKNOWN_KEYS).map(safeKey))
  for (const name of names) warn(`user_data.${name}`, 'unknown_field')
  if (unknown.length > MAX_UNKNOWN_KEYS) warn('user_data', 'too_many_values')
}

/** Pinterest's own Python client sends an explicit null for every field that is not set. */
function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

/** Its path is joined only where there is something to tell. */
function warnOf(
  normalized: fields.NormalizedField,
  field: fields.UserDataField,
  index: Index,
  warn: Warn,
): void {
  const code =
    normalized.status === 'dropped'
      ? normalized.code
      : normalized.status === 'normalized'
        ? normalized.warning
        : undefined
  if (code !== undefined) warn(`user_data.${field}${index === undefined ? '' : `[${index}]`}`, code)
}

function hashOf(
  field: fields.HashedField,
  normalized: Exclude<fields.NormalizedField, { readonly status: 'dropped' }>,
): string {
  if (normalized.status === 'hashed') return normalized.hash
  return CODE_FIELDS.has(field) ? hashOfCode(normalized.text) : sha256Hex(normalized.text)
}

/** A few hundred codes, which tell nobody apart: each is hashed once (a hash takes 0.5 µs). */
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
