/**
 * One value of one field: the steps that all fields share, in their binding order, around the field's own rule. This
 * is also what `explain` shows, since it stops before the hash.
 */
import { sha256Hex } from '../hash.ts'
import { dropped, type Normalized, PLACEHOLDER, read, UNREADABLE } from '../reading.ts'
import { cleanText, toNfc, hasEntity } from './clean-text.ts'
import { normalizeCountry } from './country.ts'
import { normalizeDateOfBirth } from './db.ts'
import { lettersAndDigits } from './fold.ts'
import { isSha256, recognizeHash } from './hashed.ts'
import { normalizeIpAddress } from './ip.ts'
import {
  isNobodysId,
  type Nothing,
  NOTHING,
  NOTHING_AS_ID,
  NOTHING_AS_NAME,
  NOTHING_AS_PLACE,
} from './nothing.ts'
import { normalizePhone } from './ph.ts'
import { normalizeState } from './st.ts'
import { normalizePostcode } from './zp.ts'

export type UserDataField = keyof typeof RULES

/** What the rules of `ph`, `zp`, `st` and `db` need to know beyond the value itself. */
export interface Region {
  /** ISO 3166-1 alpha-2 in lower case: the event's own, or the account's if the event names none. */
  readonly country: string | undefined
  /** How the account writes day and month where both readings are possible. */
  readonly dobFormat: 'DMY' | 'MDY' | undefined
  /** Today, for dates of birth: milliseconds since the epoch. */
  readonly nowMs: number
}

/** A normalized value, with its hash where that is known already; or the hash that the storefront sent in its place. */
export type NormalizedField =
  | (Normalized & { readonly hash?: string })
  | { readonly status: 'hashed'; readonly hash: string }

/** Never throws; the answer for a dropped value says why, and does not hold the value. */
export function normalizeField(field: Field, value: unknown, region: Region): NormalizedField {
  const { shared } = field
  if (shared === undefined || typeof value !== 'string' || value.length > LONGEST_SHARED) {
    return readValue(field, value, region)
  }
  const country = field.name === 'country' ? undefined : region.country
  const known = shared.get(value)
  if (known !== undefined && known.country === country) return known.normalized
  const found = readValue(field, value, region)
  const normalized = found.status === 'read' ? { ...found, hash: sha256Hex(found.value) } : found
  if (shared.size >= MAX_SHARED) shared.clear()
  shared.set(value, { country, normalized })
  return normalized
}

/** What was made of a value, in the region of a country. */
interface Shared {
  readonly country: string | undefined
  readonly normalized: NormalizedField
}

const LONGEST_SHARED = 40
const MAX_SHARED = 4096

function readValue(field: Field, value: unknown, region: Region): NormalizedField {
  // Of senders who hash, nearly every value: cleaning it first takes twice as long, and changes nothing.
  if (field.isHashed && isSha256(value)) return judgeHash(field.nothing, value)
  const clean = cleanText(value)
  if (clean.status === 'dropped') return clean
  return (field.isHashed ? passHash(field, clean.value) : undefined) ?? applyRule(field, clean.value, region)
}

interface Rules {
  /** Pure, never throws, gets cleaned text that is not empty. */
  readonly normalize: (text: string, region: Region) => Normalized
  readonly nothing: Nothing
  /** Sent as arrays of hashes; the others as text, where what looks like a hash is an id like any other. */
  readonly isHashed: boolean
  /** Many customers have the same: by what was given, as it came. Names, numbers and postcodes seldom come again. */
  readonly shared?: Map<string, Shared> | undefined
  /** 32 random bytes, or what MD5 looks like, may be an id. */
  readonly isId?: boolean
}

/** Pinterest's one letter. The digits are ISO 5218; its 0 (not known) and 9 (not applicable) are nothing. */
function normalizeGender(text: string): Normalized {
  const letter = GENDERS.get(text.toLowerCase())
  return letter === undefined ? UNREADABLE : read(letter)
}

const GENDERS: ReadonlyMap<string, string> = new Map(
  ['f female woman girl w 2', 'm male man boy 1', 'n nonbinary non-binary x diverse'].flatMap((words) =>
    words.split(' ').map((word) => [word, words[0]!]),
  ),
)

/** A UUID in lower case. Both Apple's (upper case) and Google's (lower) come in. */
function normalizeAdvertisingId(text: string): Normalized {
  return UUID.test(text) ? read(text.toLowerCase()) : UNREADABLE
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** An external id must equal what the browser tag sends. `--`, `{}`, `user-undefined` and `Guest User` are no id. */
const normalizeId = (text: string): Normalized => (isNobodysId(text) ? PLACEHOLDER : read(text))

/** In the order in which they are sent. */
const RULES = {
  em: { normalize: normalizeEmail, nothing: NOTHING, isHashed: true },
  ph: { normalize: normalizePhone, nothing: NOTHING, isHashed: true },
  ge: { normalize: normalizeGender, nothing: NOTHING, isHashed: true, shared: new Map() },
  db: { normalize: normalizeDateOfBirth, nothing: NOTHING, isHashed: true },
  ln: { normalize: normalizeName, nothing: NOTHING_AS_NAME, isHashed: true },
  fn: { normalize: normalizeName, nothing: NOTHING_AS_NAME, isHashed: true },
  ct: { normalize: normalizeCity, nothing: NOTHING_AS_NAME, isHashed: true, shared: new Map() },
  st: { normalize: normalizeState, nothing: NOTHING_AS_PLACE, isHashed: true, shared: new Map() },
  zp: { normalize: normalizePostcode, nothing: NOTHING, isHashed: true },
  country: { normalize: normalizeCountry, nothing: NOTHING_AS_PLACE, isHashed: true, shared: new Map() },
  external_id: { normalize: normalizeId, nothing: NOTHING_AS_ID, isHashed: true, isId: true },
  hashed_maids: { normalize: normalizeAdvertisingId, nothing: NOTHING, isHashed: true },
  client_ip_address: { normalize: normalizeIpAddress, nothing: NOTHING, isHashed: false },
  client_user_agent: { normalize: read<string>, nothing: NOTHING, isHashed: false },
  partner_id: { normalize: read<string>, nothing: NOTHING, isHashed: false },
  click_id: { normalize: normalizeId, nothing: NOTHING, isHashed: false },
} as const satisfies Record<string, Rules>

export interface Field extends Rules {
  readonly name: UserDataField
}

const fieldOf = (name: UserDataField): Field => ({ name, shared: undefined, isId: false, ...RULES[name] })
const NAMES = Object.keys(RULES) as readonly UserDataField[]
export const FIELDS = Object.fromEntries(NAMES.map((name) => [name, fieldOf(name)])) as Readonly<
  Record<UserDataField, Field>
>

const UNPADDED_BASE64 = 43

/** What is to become of a value that looks hashed, or undefined if it does not. */
function passHash({ nothing, isId }: Field, text: string): NormalizedField | undefined {
  const hash = recognizeHash(text)
  if (hash === undefined || (hash === null && isId)) return undefined
  if (hash === null) return dropped('wrong_hash')
  // Random ids of 32 bytes are written like this; a hash in Base64 that is to be an id has its padding or `sha256:`.
  const isRandom = isId && text.length === UNPADDED_BASE64 && !nothing.isHashed(hash)
  return isRandom ? undefined : judgeHash(nothing, hash)
}

function judgeHash(nothing: Nothing, hash: string): NormalizedField {
  return nothing.isHashed(hash) ? PLACEHOLDER : { status: 'hashed', hash }
}

function applyRule({ normalize, nothing }: Field, text: string, region: Region): Normalized {
  if (nothing.is(text)) return PLACEHOLDER
  const normalized = normalize(text, region)
  if (normalized.status === 'dropped' || normalized.value === text) return normalized
  const composed = toNfc(normalized.value)
  if (composed === undefined || composed === '') return UNREADABLE
  // A rule may uncover a placeholder (`N-A` as a postcode), whose hash would be dropped if it came in again.
  if (nothing.is(composed)) return PLACEHOLDER
  return composed === normalized.value ? normalized : { ...normalized, value: composed }
}

/** 64 for the local part, the sign, 255 for the domain (RFC 5321). */
const MAX_LENGTH = 320

/**
 * E-mail addresses: lower case, without white space. Dots and plus tags stay, since Pinterest hashes what the customer
 * registered with. Whatever is not plainly one address is dropped.
 */
function normalizeEmail(text: string): Normalized {
  const lower = text.toLowerCase()
  if (lower.length <= MAX_LENGTH && PLAIN_ADDRESS.test(lower)) return read(lower)
  const address = toUsualWidth(text).replace(WHITE_SPACE, '').toLowerCase().replace(MAILTO, '$1')
  if (address.length > MAX_LENGTH || !ADDRESS_SHAPE.test(address)) return UNREADABLE
  const labels = address.slice(address.indexOf('@') + 1).split('.')
  return labels.length > 1 && labels.every((label) => LABEL.test(label)) ? read(address) : UNREADABLE
}

/** The common case, on which the other rules would change nothing. */
const PLAIN_ADDRESS = /^[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/
const WHITE_SPACE = /[\s\u0085]+/g
/** A mail link may carry a subject after `?`. */
const MAILTO = /^mailto:([^?]*).*$/s
/** One `@`; no quotes, brackets, commas, colons. An apostrophe may be inside (`o'connor@`), not quote the whole. */
const ADDRESS_SHAPE = /^[^@"'`“”„«»‘’()<>[\]{},:;\\][^@"`“”„«»‘’()<>[\]{},:;\\]*@[^@]+$/u
const LABEL = /^[\p{L}\p{M}\p{N}-]+$/u

/** Japanese and Chinese keyboards write `ｎａｍｅ＠ｅｘａｍｐｌｅ。ｃｏｍ`; mail knows none of these characters. */
function toUsualWidth(text: string): string {
  return text.replace(OTHER_WIDTH, (letters) => letters.normalize('NFKC')).replaceAll('\u3002', '.')
}

const OTHER_WIDTH = /[\uff00-\uffef\ufe50-\ufe6f]+/g

/**
 * Names of people: lower case, one kind of space, apostrophe and dash. Without a letter it is no name: `.` and `--` fill in what a
 * form requires. Accents and all other punctuation stay, because they are part of the
 * name; an accent alone between letters is read as an apostrophe.
 */
function normalizeName(text: string): Normalized {
  const lower = text.toLowerCase()
  if (PLAIN_NAME.test(lower)) return read(lower)
  const usual = lower.replace(APOSTROPHES, "'")
  if (PLAIN_NAME.test(usual)) return read(usual)
  const name = usual
    .replace(SLASHES_OF_PHP, '')
    .replace(WHITE_SPACE, ' ')
    .replace(DASHES, '-')
    .replace(ACCENTS_BETWEEN_LETTERS, "'")
  return LETTER.test(name) && !hasEntity(name) ? read(name) : UNREADABLE
}

function normalizeCity(text: string): Normalized {
  if (hasEntity(text)) return UNREADABLE
  const city = lettersAndDigits(text)
  return LETTER.test(city) ? read(city) : UNREADABLE
}

const LETTER = /^[a-z]|\p{L}/u
/** Curly ones and U+02BC, which Ukrainian and Breton keyboards write. */
const APOSTROPHES = /[\u2018\u2019\u201B\u02BC]/g
/** `O\'Connor`: WordPress adds one to each quote of what a form sends. */
const SLASHES_OF_PHP = /\\(?=['"\\])/g
const ACCENTS_BETWEEN_LETTERS = /(?<=[\p{L}\p{M}])[\u00b4`](?=\p{L})/gu
const DASHES = /[\p{Pd}\u2212]/gu

/** Most names are Latin words with one space or hyphen between them, on which the replacements would change nothing. */
const PLAIN_NAME =
  /^[a-z\u00df-\u00f6\u00f8-\u024f][a-z0-9.'\u00c0-\u024f]*(?:[ -][a-z0-9.'\u00c0-\u024f]+)*$/
