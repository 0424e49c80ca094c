/**
 * One value of one field: the steps that all fields share, in their binding order, around the field's own rule. This
 * is also what `explain` shows, since it stops before the hash.
 */
import { cleanText, toNfc } from './clean-text.ts'
import { normalizeCountry } from './country.ts'
import { normalizeCity } from './ct.ts'
import { normalizeDateOfBirth } from './db.ts'
import { normalizeEmail } from './em.ts'
import { normalizeGender } from './ge.ts'
import { recognizeHash } from './hashed.ts'
import { normalizeIpAddress } from './ip.ts'
import { normalizeAdvertisingId } from './maids.ts'
import { normalizeName } from './names.ts'
import {
  isNobodysId,
  type Nothing,
  NOTHING,
  NOTHING_AS_ID,
  NOTHING_AS_NAME,
  NOTHING_AS_PLACE,
} from './nothing.ts'
import { normalizePhone } from './ph.ts'
import { dropped, type Region, type Rule, type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'
import { normalizeState } from './st.ts'
import { normalizePostcode } from './zp.ts'

export type HashedField = keyof typeof HASHED_FIELDS
export type TextField = keyof typeof TEXT_FIELDS
export type UserDataField = HashedField | TextField

/** A normalized value, or the hash that the storefront sent in its place. */
export type NormalizedField = Normalized | { readonly status: 'hashed'; readonly hash: string }

/** Never throws; the answer for a dropped value says why, and does not hold the value. */
export function normalizeField(field: UserDataField, value: unknown, region: Region): NormalizedField {
  const known = field === 'country' ? COUNTRIES.get(value) : undefined
  if (known !== undefined) return known
  const clean = cleanText(value)
  if (clean.status === 'dropped') return clean
  if (!isHashedField(field)) return applyRule(TEXT_FIELDS[field], clean.text, region)
  const hashed = passHash(field, clean.text)
  if (hashed !== undefined) return hashed
  const normalized = applyRule(HASHED_FIELDS[field], clean.text, region)
  const isFound = field === 'country' && normalized.status === 'normalized'
  if (isFound && COUNTRIES.size < MAX_COUNTRIES) COUNTRIES.set(value, normalized)
  return normalized
}

/** Countries are written in few ways, and that of an event is read twice: it is its region, too. */
const COUNTRIES = new Map<unknown, Normalized>()
const MAX_COUNTRIES = 2000

/** For the values of one event. */
export type NormalizeValue = (field: UserDataField, value: unknown) => NormalizedField

/** A hundred letters for each of 320 values. Text beyond Latin takes up to 0.3 µs a letter: this much, 10 ms. */
const LETTERS_PER_EVENT = 32 * 1024

/** Bounds the work that one event can cause: what comes once its letters are spent is dropped unread. */
export function createNormalizer(region: Region): NormalizeValue {
  let left = LETTERS_PER_EVENT
  return (field, value) => {
    const letters = typeof value === 'string' ? value.length : 0
    if (letters > left) return dropped('too_long')
    const normalized = normalizeField(field, value, region)
    if (normalized.status !== 'dropped' || normalized.code !== 'too_long') left -= letters
    return normalized
  }
}

interface FieldRules {
  readonly normalize: Rule
  readonly nothing: Nothing
}

/** Trimmed only, as every value is. */
const asItIs: Rule = (text) => normalizedAs(text)

/** An external id must equal what the browser tag sends. `--`, `{}`, `user-undefined` and `Guest User` are no id. */
const asId: Rule = (text) => (isNobodysId(text) ? dropped('placeholder') : normalizedAs(text))

/** Sent as arrays of hashes, in this order. */
const HASHED_FIELDS = {
  em: { normalize: normalizeEmail, nothing: NOTHING },
  ph: { normalize: normalizePhone, nothing: NOTHING },
  ge: { normalize: normalizeGender, nothing: NOTHING },
  db: { normalize: normalizeDateOfBirth, nothing: NOTHING },
  ln: { normalize: normalizeName, nothing: NOTHING_AS_NAME },
  fn: { normalize: normalizeName, nothing: NOTHING_AS_NAME },
  ct: { normalize: normalizeCity, nothing: NOTHING_AS_NAME },
  st: { normalize: normalizeState, nothing: NOTHING_AS_PLACE },
  zp: { normalize: normalizePostcode, nothing: NOTHING },
  country: { normalize: normalizeCountry, nothing: NOTHING_AS_PLACE },
  external_id: { normalize: asId, nothing: NOTHING_AS_ID },
  hashed_maids: { normalize: normalizeAdvertisingId, nothing: NOTHING },
} as const satisfies Record<string, FieldRules>

/** Sent as text: what looks like a hash among them is an id like any other. */
const TEXT_FIELDS = {
  client_ip_address: { normalize: normalizeIpAddress, nothing: NOTHING },
  client_user_agent: { normalize: asItIs, nothing: NOTHING },
  click_id: { normalize: asId, nothing: NOTHING },
  partner_id: { normalize: asItIs, nothing: NOTHING },
} as const satisfies Record<string, FieldRules>

export const HASHED_FIELD_NAMES = Object.keys(HASHED_FIELDS) as readonly HashedField[]
const HASHED_NAMES: ReadonlySet<string> = new Set(Object.keys(HASHED_FIELDS))
export const TEXT_FIELD_NAMES = Object.keys(TEXT_FIELDS) as readonly TextField[]

function isHashedField(field: UserDataField): field is HashedField {
  return HASHED_NAMES.has(field)
}

const UNPADDED_BASE64 = 43

/** What is to become of a value that looks hashed, or undefined if it does not. */
function passHash(field: HashedField, text: string): NormalizedField | undefined {
  const found = recognizeHash(text)
  if (found === undefined || (found.kind === 'other' && field === 'external_id')) return undefined
  if (found.kind === 'other') return dropped('wrong_hash')
  const { hex: hash } = found
  if (HASHED_FIELDS[field].nothing.isHashed(hash)) return dropped('placeholder')
  // Random ids of 32 bytes are written like this; a hash in Base64 that is to be an id has its padding or `sha256:`.
  return field === 'external_id' && text.length === UNPADDED_BASE64 ? undefined : { status: 'hashed', hash }
}

function applyRule({ normalize, nothing }: FieldRules, text: string, region: Region): Normalized {
  if (nothing.is(text)) return dropped('placeholder')
  const normalized = normalize(text, region)
  if (normalized.status === 'dropped' || normalized.text === text) return normalized
  const composed = toNfc(normalized.text)
  if (composed === undefined || composed === '') return UNREADABLE
  // A rule may uncover a placeholder (`N-A` as a postcode), whose hash would be dropped if it came in again.
  return nothing.is(composed) ? dropped('placeholder') : normalizedAs(composed, normalized.warning)
}
