/**
 * Customer data as Pinterest wants it: every identifier normalized the one way that Pinterest hashes, and hashed. What cannot be
 * normalized with confidence is left out with a warning; no raw value of a field that is hashed is kept. The event is invalid
 * where nothing is left to identify the customer by.
 */
import { clickIdOf } from './click-id.ts'
import { warnOfUnknownKeys } from './coerce/object.ts'
import { sha256Hex } from './hash.ts'
import { listOr } from './lists.ts'
import { countryOfHash } from './normalize/country.ts'
import * as fields from './normalize/field.ts'
import { isAbsent, type RawObject, TOO_LONG } from './reading.ts'
import { markInvalid, noteReading, pathOf, type Report, warn } from './report.ts'
import type { UserData } from './schema.ts'
import { renderWarnings, type Warning } from './reasons.ts'

/** What the storefront's account adds to the event. */
export interface NormalizeContext extends Omit<fields.Region, 'country'> {
  /** ISO 3166-1, for events that say no country themselves. */
  readonly accountCountry: string | undefined
}

/** Called for each value that is read. */
type Observe = (
  field: fields.UserDataField,
  path: string,
  value: unknown,
  normalized: fields.NormalizedField,
) => void

/** Undefined once the event is invalid. `eventSourceUrl` may contain a missing click id. */
export function readUserData(
  raw: RawObject,
  eventSourceUrl: string | undefined,
  context: NormalizeContext,
  report: Report,
): UserData | undefined {
  const warnedBefore = report.warnings.length
  const userData = normalizeUserData(raw, eventSourceUrl, context, report)
  const { em, hashed_maids, client_ip_address, client_user_agent } = userData
  const hasBrowser = client_ip_address !== undefined && client_user_agent !== undefined
  if (em !== undefined || hashed_maids !== undefined || hasBrowser) return userData
  return markInvalid(report, 'no_identifier', 'user_data', whatIsMissing(report.warnings.slice(warnedBefore)))
}

/** At most so many dropped values are named. */
const MAX_NAMED = 16

function whatIsMissing(warnings: readonly Warning[]): string {
  const rule = 'needs em, or hashed_maids, or client_ip_address together with client_user_agent'
  const dropped = warnings.filter(({ code }) => code !== 'phone_without_country').slice(0, MAX_NAMED)
  return dropped.length === 0 ? rule : `${rule}; dropped were ${renderWarnings(dropped)}`
}

/** Nobody has twenty e-mail addresses; bounds the hashes that one event can ask for. */
const MAX_VALUES = 20

/** A hundred for each of 320 values; the rest is dropped unread. Text beyond Latin takes up to 0.3 µs a letter: this much, 10 ms. */
const LETTERS_PER_EVENT = 32 * 1024

export function normalizeUserData(
  raw: RawObject,
  eventSourceUrl: string | undefined,
  context: NormalizeContext,
  report: Report,
  observe?: Observe,
): Partial<UserData> {
  const reader = { region: regionOf(raw, context), report, observe, lettersLeft: LETTERS_PER_EVENT }
  const data: Record<string, string | readonly string[]> = {}
  report.at.push('user_data')
  let left = Object.keys(raw).length
  for (const field of SENT_FIELDS) {
    if (left === 0) break
    const { name, isHashed } = field
    const given = raw[name]
    if (given === undefined) continue
    left -= 1
    const values = given === null ? NONE : readValues(field, given, reader)
    if (values.length > 0) data[name] = isHashed ? values : values[0]!
  }
  if (data['click_id'] === undefined) {
    const clickId = clickIdOf(eventSourceUrl)
    const text =
      clickId === undefined ? undefined : readValue(fields.FIELDS.click_id, clickId, undefined, reader)
    if (text !== undefined) data['click_id'] = text
  }
  if (left > 0) warnOfUnknownKeys(raw, KNOWN_KEYS, report)
  report.at.pop()
  return data
}

const NONE: readonly string[] = []
const SENT_FIELDS = Object.values(fields.FIELDS)
const KNOWN_KEYS: ReadonlySet<string> = new Set(Object.keys(fields.FIELDS))

/** What the values of one event are read with. */
interface Reader {
  readonly region: fields.Region
  readonly report: Report
  readonly observe: Observe | undefined
  /** Of LETTERS_PER_EVENT; each value that is read takes its own from it. */
  lettersLeft: number
}

function readValues(field: fields.Field, given: unknown, reader: Reader): readonly string[] {
  const value = listOr(given)
  if (!Array.isArray(value)) {
    const only = readValue(field, value, undefined, reader)
    return only === undefined ? NONE : [only]
  }
  // Which of two user agents is the customer's is unknown, so that neither is sent.
  const isOneTooMany = !field.isHashed && value.filter((one) => !isAbsent(one)).length > 1
  if (isOneTooMany || value.length > MAX_VALUES) {
    warn(reader.report, field.name, 'too_many_values')
  }
  if (isOneTooMany) return NONE
  const read: string[] = []
  for (let index = 0; index < Math.min(value.length, MAX_VALUES); index++) {
    const text = isAbsent(value[index]) ? undefined : readValue(field, value[index], index, reader)
    if (text !== undefined) read.push(text)
  }
  return read.length > 1 ? [...new Set(read)] : read
}

/** Undefined for what is dropped. */
function readValue(field: fields.Field, value: unknown, index: number | undefined, reader: Reader) {
  const { observe } = reader
  const letters = typeof value === 'string' ? value.length : 0
  const isTooLong = letters > reader.lettersLeft
  const normalized = isTooLong ? TOO_LONG : fields.normalizeField(field, value, reader.region)
  if (normalized !== TOO_LONG) reader.lettersLeft -= letters
  const isToNote =
    normalized.status === 'dropped' || (normalized.status === 'read' && normalized.warning !== undefined)
  if (isToNote || observe !== undefined) {
    const place = index === undefined ? field.name : `${field.name}[${index}]`
    if (normalized.status !== 'hashed') noteReading(normalized, place, reader.report)
    observe?.(field.name, pathOf(reader.report, place), value, normalized)
  }
  if (normalized.status === 'dropped') return undefined
  if (normalized.status === 'hashed') return normalized.hash
  if (!field.isHashed) return normalized.value
  return normalized.hash ?? sha256Hex(normalized.value)
}

/**
 * What `ph`, `zp`, `st` and `db` are read in: the event's own country, also where it came hashed; the first of several that can
 * be read. The account's is for events that name none: one that names a country which cannot be read has no region, and its
 * phone is no number of the account's country.
 */
export function regionOf(raw: RawObject, context: NormalizeContext): fields.Region {
  const { dobFormat, nowMs, accountCountry } = context
  const nowhere = { country: undefined, dobFormat, nowMs }
  const value = isAbsent(raw['country']) ? [] : listOr(raw['country'])
  const given: readonly unknown[] = Array.isArray(value) ? value.slice(0, MAX_VALUES) : [value]
  let isNamed = false
  for (const one of given) {
    const country = isAbsent(one) ? undefined : readCountry(one, nowhere)
    if (typeof country === 'string') return { country, dobFormat, nowMs }
    isNamed ||= country === false
  }
  const country = isNamed || accountCountry === undefined ? undefined : readCountry(accountCountry, nowhere)
  return typeof country === 'string' ? { country, dobFormat, nowMs } : nowhere
}

/** False if it names one that cannot be read; undefined if it names none. */
function readCountry(given: unknown, nowhere: fields.Region): string | false | undefined {
  const normalized = fields.normalizeField(fields.FIELDS.country, given, nowhere)
  if (normalized.status === 'read') return normalized.value
  if (normalized.status === 'hashed') return countryOfHash(normalized.hash) ?? false
  return normalized.code === 'placeholder' ? undefined : false
}
