/**
 * States and provinces: two or three letters or digits, as ISO 3166-2 has them after the country. Names are mapped for
 * the three countries whose customers write them out; other names are dropped, since nobody could match them.
 */
import { isCountry } from './country-names.ts'
import { foldName } from './fold.ts'
import { type Region, type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'
import { stateOfName } from './state-names.ts'

export function normalizeState(text: string, region: Region): Normalized {
  if (text.length > MAX_LENGTH) return UNREADABLE
  if (isPlainCode(text)) return normalizedAs(text.toLowerCase())
  const { country, rest } = withoutCountry(text, region.country)
  const named = stateOfName(foldName(rest), country)
  if (named !== undefined) return normalizedAs(named)
  const code = rest.toLowerCase().replace(NOT_IN_A_CODE, '')
  return CODE.test(code) ? normalizedAs(code) : UNREADABLE
}

/** Longer than any state's name. */
const MAX_LENGTH = 100
const NOT_IN_A_CODE = /[^\p{L}\p{M}\p{N}]+/gu
const CODE = /^[a-z0-9]{2,3}$/
const WITH_COUNTRY = /^([a-z]{2})-(.+)$/i

/** The common case, which needs no look-up: no state's name is as short as a code. */
function isPlainCode(text: string): boolean {
  return /^[A-Za-z0-9]{2,3}$/.test(text)
}

interface StateOfCountry {
  readonly country: string | undefined
  readonly rest: string
}

/**
 * `US-CA` without `US-`. A prefix other than the event's own country has to look like a code, or else a name such as
 * Al-Ain would be taken for a place in Albania.
 */
function withoutCountry(text: string, country: string | undefined): StateOfCountry {
  const [, prefix = '', rest = ''] = WITH_COUNTRY.exec(text) ?? []
  const lower = prefix.toLowerCase()
  if (!isCountry(lower)) return { country, rest: text }
  const isOwn = lower === country || (country === undefined && text === text.toLowerCase())
  return isOwn || text === text.toUpperCase() ? { country: lower, rest } : { country, rest: text }
}
