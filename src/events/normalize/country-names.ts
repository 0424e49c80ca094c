/**
 * Which country a code or a folded name means. The table of names takes some 80 ms, languages and all: it is made for the
 * first name, since most storefronts send codes and never need it.
 */
import { createRequire } from 'node:module'
// The codes alone: the package's usual entry reads all of its languages.
import countries from 'i18n-iso-countries/index.js'
import { sha256Hex } from '../hash.ts'
import { countriesByLanguage, otherNames } from './country-data.ts'
import { foldName } from './fold.ts'

/** Is it an ISO 3166-1 alpha-2 code in lower case, or Kosovo's `xk`? */
export function isCountry(code: string): boolean {
  return ALPHA_2.has(code)
}

/** From alpha-3 in lower case or three digits. */
export function countryOfCode(code: string): string | undefined {
  return CODES.get(code)
}

/** From a name in English or in one of the country's languages, folded by `foldName`. */
export function countryOfName(folded: string): string | undefined {
  names ??= createNames()
  return names.get(folded) ?? (folded.startsWith('the') ? names.get(folded.slice('the'.length)) : undefined)
}

/** Whose code was hashed, in lower or, by a sender that did not normalize, upper case? */
export function countryOfHash(hash: string): string | undefined {
  hashes ??= new Map(
    [...ALPHA_2].flatMap((code) => [
      [sha256Hex(code), code],
      [sha256Hex(code.toUpperCase()), code],
    ]),
  )
  return hashes.get(hash)
}

let hashes: ReadonlyMap<string, string> | undefined
let names: ReadonlyMap<string, string> | undefined

const ALPHA_2: ReadonlySet<string> = new Set(
  Object.keys(countries.getAlpha2Codes()).map((code) => code.toLowerCase()),
)

const CODES: ReadonlyMap<string, string> = new Map(
  [...Object.entries(countries.getAlpha3Codes()), ...Object.entries(countries.getNumericCodes())].map(
    ([code, alpha2]) => [code.toLowerCase(), alpha2.toLowerCase()],
  ),
)

/** English first: where another language gives the same name to another country, English keeps it. */
function createNames(): ReadonlyMap<string, string> {
  // Gives its languages to what is imported above.
  createRequire(import.meta.url)('i18n-iso-countries')
  const english = collectNames([...namesIn('en', [...ALPHA_2]), ...otherNames()])
  const local = collectNames(countriesByLanguage().flatMap(([language, spoken]) => namesIn(language, spoken)))
  return new Map([...local, ...english])
}

/** Welsh DU and Irish RA are the United Kingdom, but on their own rather typing errors. */
const IS_LIKE_A_CODE = /^[a-z]{0,2}$/

/** A name that two countries have, such as Congo, means neither. */
function collectNames(entries: readonly (readonly [name: string, country: string])[]): Map<string, string> {
  const names = new Map<string, string>()
  const ambiguous = new Set<string>()
  for (const [name, country] of entries) {
    const folded = foldName(name)
    if (IS_LIKE_A_CODE.test(folded)) continue
    if ((names.get(folded) ?? country) !== country) ambiguous.add(folded)
    names.set(folded, country)
  }
  for (const name of ambiguous) names.delete(name)
  return names
}

function namesIn(language: string, spokenIn: readonly string[]): (readonly [string, string])[] {
  const listed = countries.getNames(language, { select: 'all' })
  const long = new Intl.DisplayNames(language, { type: 'region', fallback: 'none' })
  const short = new Intl.DisplayNames(language, { type: 'region', fallback: 'none', style: 'short' })
  return spokenIn.flatMap((country) => {
    const code = country.toUpperCase()
    const names = [...(listed[code] ?? []), long.of(code), short.of(code)]
    return names.filter((name) => name !== undefined).map((name) => [name, country] as const)
  })
}
