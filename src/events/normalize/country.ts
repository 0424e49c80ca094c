/**
 * Countries as ISO 3166-1 alpha-2 in lower case: from codes of any kind, from names in English and in the country's own
 * languages, and from the labels that shops and ISO make of these.
 */
import { type Normalized, read, UNREADABLE } from '../reading.ts'
import { withoutQuotes } from './clean-text.ts'
import { countryOfCode, countryOfName, isCountry } from './country-names.ts'
import { foldName } from './fold.ts'

export function normalizeCountry(text: string): Normalized {
  const country = text.length > MAX_LENGTH ? undefined : (readCountry(text) ?? readLabel(withoutQuotes(text)))
  return country === undefined ? UNREADABLE : read(country)
}

/** Longer than any country's formal name. */
const MAX_LENGTH = 200
const NUMERIC = /^\d{1,3}$/
const ASCII_CODE = /^[a-z]{2,3}$/

function readCountry(text: string): string | undefined {
  const lower = text.toLowerCase()
  // The common case: storefronts send alpha-2.
  if (isCountry(lower)) return lower
  return readCode(lower) ?? countryOfName(foldName(text))
}

function readCode(lower: string): string | undefined {
  if (NUMERIC.test(lower)) return countryOfCode(lower.padStart(3, '0'))
  const code = lower.replace(NOT_IN_A_CODE, '')
  if (code === 'uk') return 'gb'
  if (isCountry(code)) return code
  return ASCII_CODE.test(code) ? countryOfCode(code) : undefined
}

/** As in `U.S.A.`; accents stay, because `Çà` is not Canada. */
const NOT_IN_A_CODE = /[^\p{L}\p{M}\p{N}]+/gu

const WITH_BRACKET = /^(.+?)\s*[([]([^()[\]]+)[)\]]$/
const WITH_COMMA = /^([^,]+),\s*([^,]+)$/
const TWO_SIDES = /^(.+?)(?:\s+[-\u2010-\u2015|/]\s+|\s*[:|]\s*)(.+)$|^([A-Z]{2,3})\s+(.+)$/
/** What stands before the name in a formal one. A bare `Congo` and `Korea` mean no country, so that they stay unread. */
const FORM = 'republic|kingdom|states?|province|principality|commonwealth|union|sultanate|grand duchy|emirate'
const FORMAL_NAME = new RegExp(`\\b(?:${FORM}) of (?:the )?(.+)$`, 'i')
const FORM_ALONE = new RegExp(`\\b(?:${FORM})\\b.*\\bof(?: the)?$`, 'i')

function readLabel(text: string): string | undefined {
  const [, base, addition] = WITH_BRACKET.exec(text) ?? []
  if (base !== undefined && addition !== undefined) return readWithAddition(base, addition)
  const [, first, rest] = WITH_COMMA.exec(text) ?? []
  if (first !== undefined && rest !== undefined) return readTurned(first, rest)
  const sides = TWO_SIDES.exec(text)
    ?.slice(1)
    .filter((side: string | undefined) => side !== undefined)
  if (sides !== undefined) return inAgreement(sides)
  return readCountry(text) ?? readFormal(text)
}

/** `FR - France`: both sides have to mean the same, or `CA - California` would be Canada. */
function inAgreement(sides: readonly string[]): string | undefined {
  const [one, other] = sides.map(readCountry)
  return one === other ? one : undefined
}

/** `Federal Republic of Germany`; but the State of Georgia is none of Asia. */
function readFormal(text: string): string | undefined {
  const [whole = '', name = ''] = FORMAL_NAME.exec(text) ?? []
  return name === '' || /^state of georgia$/i.test(whole) ? undefined : countryOfName(foldName(name))
}

/** `Germany (DE)`, `Netherlands (the)`, `Iran (Islamic Republic of)`; `Korea (North)` is not Korea with an addition. */
function readWithAddition(base: string, addition: string): string | undefined {
  const turned = readTurned(base, addition)
  if (turned !== undefined) return turned
  const country = readCountry(base) ?? readLabel(base)
  const named = readCountry(addition)
  if (named !== undefined) return country === named ? country : undefined
  return TELLS_APART.test(addition) ? undefined : country
}

const TELLS_APART =
  /\b(?:north|south|east|west|central|new|former|dutch|french|british|american|spanish|danish|u\.?s\.?|uk|republic)/i

/** `Korea, Republic of`, `Bahamas, The`, `Germany, DE`. */
function readTurned(base: string, addition: string): string | undefined {
  if (foldName(addition) === 'the') return readCountry(base)
  const turned = `${addition} ${base}`
  const country =
    countryOfName(foldName(turned)) ?? (FORM_ALONE.test(addition) ? readFormal(turned) : undefined)
  if (country !== undefined) return country
  const code = readCode(addition.toLowerCase())
  return code !== undefined && readCountry(base) === code ? code : undefined
}
