/**
 * One value of one field: the steps that all fields share, in their binding order, around the field's own rule. This
 * is also what `explain` shows, since it stops before the hash.
 */
import { cleanText, toNfc } from './clean-text.ts'
import { spellCountry } from './country.ts'
import { spellCity } from './ct.ts'
import { spellDateOfBirth } from './db.ts'
import { spellEmail } from './em.ts'
import { spellExternalId } from './external-id.ts'
import { spellGender } from './ge.ts'
import { hashShape } from './hashed.ts'
import { spellIpAddress } from './ip.ts'
import { spellAdvertisingId } from './maids.ts'
import { spellName } from './names.ts'
import { type Nothing, NOTHING, NOTHING_AS_NAME, NOTHING_AS_PLACE } from './nothing.ts'
import { spellPhone } from './ph.ts'
import { spellPlainText } from './plain-text.ts'
import { dropped, type Region, type Rule, type Spelling, spelled, UNSPELLABLE } from './spelling.ts'
import { spellState } from './st.ts'
import { spellPostcode } from './zp.ts'

export type HashedField = keyof typeof HASHED_FIELDS
export type TextField = keyof typeof TEXT_FIELDS
export type UserDataField = HashedField | TextField

/** A value's spelling, or the hash that the storefront had made of it. */
export type FieldSpelling = Spelling | { readonly status: 'hashed'; readonly hash: string }

/** Spells one raw value. Never throws; the answer for a dropped value says why, and does not hold the value. */
export function spellField(field: UserDataField, value: unknown, region: Region): FieldSpelling {
  const clean = cleanText(value)
  if (clean.status === 'dropped') return clean
  return isHashedField(field)
    ? (recognizeHash(field, clean.text) ?? applyRule(HASHED_FIELDS[field], clean.text, region))
    : applyRule(TEXT_FIELDS[field], clean.text, region)
}

/** Spells the values of one event. */
export type SpellValue = (field: UserDataField, value: unknown) => FieldSpelling

/** A hundred letters for each of 320 values. Text beyond Latin takes up to 0.3 µs a letter: this much, 10 ms. */
const LETTERS_PER_EVENT = 32 * 1024

/** Bounds the work that one event can cause: what comes once its letters are spent is dropped unread. */
export function createSpeller(region: Region): SpellValue {
  let left = LETTERS_PER_EVENT
  return (field, value) => {
    const letters = typeof value === 'string' ? value.length : 0
    if (letters > left) return dropped('too_long')
    const spelling = spellField(field, value, region)
    if (spelling.status !== 'dropped' || spelling.code !== 'too_long') left -= letters
    return spelling
  }
}

interface FieldRules {
  readonly spell: Rule
  readonly nothing: Nothing
}

/** Sent as arrays of hashes, in this order. */
const HASHED_FIELDS = {
  em: { spell: spellEmail, nothing: NOTHING },
  ph: { spell: spellPhone, nothing: NOTHING },
  ge: { spell: spellGender, nothing: NOTHING },
  db: { spell: spellDateOfBirth, nothing: NOTHING },
  ln: { spell: spellName, nothing: NOTHING_AS_NAME },
  fn: { spell: spellName, nothing: NOTHING_AS_NAME },
  ct: { spell: spellCity, nothing: NOTHING_AS_NAME },
  st: { spell: spellState, nothing: NOTHING_AS_PLACE },
  zp: { spell: spellPostcode, nothing: NOTHING },
  country: { spell: spellCountry, nothing: NOTHING_AS_PLACE },
  external_id: { spell: spellExternalId, nothing: NOTHING },
  hashed_maids: { spell: spellAdvertisingId, nothing: NOTHING },
} as const satisfies Record<string, FieldRules>

/** Sent as text: what looks like a hash among them is an id like any other. */
const TEXT_FIELDS = {
  client_ip_address: { spell: spellIpAddress, nothing: NOTHING },
  client_user_agent: { spell: spellPlainText, nothing: NOTHING },
  click_id: { spell: spellPlainText, nothing: NOTHING },
  partner_id: { spell: spellPlainText, nothing: NOTHING },
} as const satisfies Record<string, FieldRules>

export const HASHED_FIELD_NAMES = Object.keys(HASHED_FIELDS) as readonly HashedField[]
const HASHED_NAMES: ReadonlySet<string> = new Set(Object.keys(HASHED_FIELDS))
export const TEXT_FIELD_NAMES = Object.keys(TEXT_FIELDS) as readonly TextField[]

function isHashedField(field: UserDataField): field is HashedField {
  return HASHED_NAMES.has(field)
}

/** What is to become of a value that looks hashed, or undefined if it does not. */
function recognizeHash(field: HashedField, text: string): FieldSpelling | undefined {
  const shape = hashShape(text)
  if (shape === 'none' || (shape === 'other' && field === 'external_id')) return undefined
  if (shape === 'other') return dropped('wrong_hash')
  const hash = text.toLowerCase()
  return HASHED_FIELDS[field].nothing.isHashed(hash) ? dropped('placeholder') : { status: 'hashed', hash }
}

function applyRule({ spell, nothing }: FieldRules, text: string, region: Region): Spelling {
  if (nothing.is(text)) return dropped('placeholder')
  const spelling = spell(text, region)
  if (spelling.status === 'dropped' || spelling.text === text) return spelling
  const composed = toNfc(spelling.text)
  if (composed === undefined || composed === '') return UNSPELLABLE
  // A rule may uncover a placeholder (`N-A` as a postcode), whose hash would be dropped if it came in again.
  return nothing.is(composed) ? dropped('placeholder') : spelled(composed, spelling.warning)
}
