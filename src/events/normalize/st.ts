/**
 * States and provinces: two or three letters or digits, as ISO 3166-2 has them after the country. The lists of the United
 * States, Canada and Australia are closed: there, nothing but their own codes comes out, from codes, names and traditional
 * abbreviations. Names elsewhere are dropped, since nobody could match them.
 */
import { type Normalized, read, UNREADABLE } from '../reading.ts'
import { isCountry } from './country-names.ts'
import type { Region } from './field.ts'
import { foldName } from './fold.ts'
import { CLOSED_LISTS, usesUsZip } from './states.ts'

export function normalizeState(text: string, region: Region): Normalized {
  const state = text.length > MAX_LENGTH ? undefined : readState(text, listOf(region.country))
  return state === undefined ? UNREADABLE : read(state)
}

/** Longer than any state's name. */
const MAX_LENGTH = 100
const CODE = /^[a-z0-9]{2,3}$/

/** The country whose list counts: the territories are among the states. */
function listOf(country: string | undefined): string | undefined {
  return country !== undefined && usesUsZip(country) ? 'us' : country
}

function readState(text: string, country: string | undefined): string | undefined {
  const lower = text.toLowerCase()
  // The common case.
  if (country !== undefined && isCodeOf(country, lower)) return lower
  const prefixed = readPrefix(text, country)
  if (prefixed !== undefined && country !== undefined && prefixed.country !== country) return undefined
  const list = prefixed?.country ?? country
  const rest = prefixed?.rest ?? text
  if (list === undefined) {
    return stateOfAnyCountry(foldName(rest), rest.includes('.')) ?? codeOf(rest, undefined)
  }
  return CLOSED_LISTS.has(list)
    ? (closedStateOf(list, foldName(rest)) ?? stateOfLabel(list, rest))
    : codeOf(rest, list)
}

/** Is it one of the country's own codes, in lower case? False where the list is not closed. */
function isCodeOf(country: string, code: string): boolean {
  return CLOSED_LISTS.get(country)?.get(code) === code
}

/** From a code, a name or an abbreviation, folded. */
function stateOf(country: string, folded: string): string | undefined {
  const list = CLOSED_LISTS.get(country)!
  return list.get(folded) ?? list.get(folded.replace(AROUND_A_NAME, ''))
}

/** `State of New York`, `Washington State`, `Commonwealth of Massachusetts`, `Province de Québec`. */
const AROUND_A_NAME =
  /^(?:state|commonwealth|province|territory)of(?:the)?|^province(?:de|du)|(?:state|province)$/

/** Where no country is known. `QUE` may be Querétaro: so short, it has to be written as an abbreviation. */
function stateOfAnyCountry(folded: string, isAbbreviated: boolean): string | undefined {
  if (folded.length <= LONGEST_CODE && !isAbbreviated && !KNOWN_ALONE.has(folded)) return undefined
  const found = [...CLOSED_LISTS.keys()].map((list) =>
    isCodeOf(list, folded) ? undefined : stateOf(list, folded),
  )
  return found.find((state) => state !== undefined)
}

const LONGEST_CODE = 3
/** No codes of any country. */
const KNOWN_ALONE: ReadonlySet<string> = new Set(['fla', 'nwt', 'ont', 'pei', 'pq', 'tex'])

/** WooCommerce writes `US:CA`. */
function closedStateOf(country: string, folded: string): string | undefined {
  const state = stateOf(country, folded)
  if (state !== undefined || !folded.startsWith(country)) return state
  const code = folded.slice(country.length)
  return isCodeOf(country, code) ? code : undefined
}

/** `California (CA)`, `CA - California`: both sides have to mean the same. */
function stateOfLabel(country: string, text: string): string | undefined {
  const [one, other, ...more] = text.split(/\s*[()|:]\s*|\s+[-\u2010-\u2015]\s+/).filter(Boolean)
  if (one === undefined || other === undefined || more.length > 0) return undefined
  const state = stateOf(country, foldName(one))
  return state === stateOf(country, foldName(other)) ? state : undefined
}

const NOT_IN_A_CODE = /[^\p{L}\p{M}\p{N}]+/gu

function codeOf(text: string, country: string | undefined): string | undefined {
  const code = text.toLowerCase().replace(NOT_IN_A_CODE, '')
  return CODE.test(code) && !isShopsNumber(code, country) ? code : undefined
}

/** `CN1`, `JP1`: a shop's own numbering, which begins with the country. */
function isShopsNumber(code: string, country: string | undefined): boolean {
  const prefix = /^([a-z]{2})\d$/.exec(code)?.[1]
  return prefix !== undefined && (country === undefined ? isCountry(prefix) : prefix === country)
}

interface Prefixed {
  readonly country: string
  readonly rest: string
}

const WITH_COUNTRY = /^([a-z]{2})[-\u2010-\u2013_:](.+)$/i

/**
 * `US-CA` without `US-`. A prefix other than the event's own country has to look like a code, or else a name such as
 * Al-Ain would be taken for a place in Albania.
 */
function readPrefix(text: string, country: string | undefined): Prefixed | undefined {
  const [, prefix = '', rest = ''] = WITH_COUNTRY.exec(text) ?? []
  const lower = prefix.toLowerCase()
  if (!isCountry(lower)) return undefined
  const isOwn = listOf(lower) === country || (country === undefined && text === text.toLowerCase())
  return isOwn || text === text.toUpperCase() ? { country: listOf(lower)!, rest } : undefined
}
