/**
 * Countries as ISO 3166-1 alpha-2 in lower case, from codes of any kind and from names in English and in the country's
 * own languages.
 */
import { countryOfCode, countryOfName, isCountry } from './country-names.ts'
import { foldName } from './fold.ts'
import { type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'

export function normalizeCountry(text: string): Normalized {
  const country = text.length > MAX_LENGTH ? undefined : readCountry(text)
  return country === undefined ? UNREADABLE : normalizedAs(country)
}

/** Longer than any country's formal name. */
const MAX_LENGTH = 200
const NUMERIC = /^\d{1,3}$/
const ASCII_CODE = /^[a-z]{2,3}$/

function readCountry(text: string): string | undefined {
  const lower = text.toLowerCase()
  // The common case: storefronts send alpha-2.
  if (isCountry(lower)) return lower
  if (NUMERIC.test(lower)) return countryOfCode(lower.padStart(3, '0'))
  const code = lower.replace(NOT_IN_A_CODE, '')
  if (code === 'uk') return 'gb'
  const country = ASCII_CODE.test(code) && !isCountry(code) ? countryOfCode(code) : code
  return country !== undefined && isCountry(country) ? country : countryOfName(foldName(text))
}

/** As in `U.S.A.`; accents stay, because `Çà` is not Canada. */
const NOT_IN_A_CODE = /[^\p{L}\p{M}\p{N}]+/gu
