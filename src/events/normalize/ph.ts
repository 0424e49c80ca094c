/**
 * Phone numbers as E.164 digits without the `+`. Reads what people type: digits of any script, extensions, trunk zeros
 * in brackets, exit codes. What libphonenumber calls impossible is dropped, vanity numbers included.
 */
import { type CountryCode, isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { remembered } from '../remembered.ts'
import { toPlainDigits } from './digits.ts'
import { type Normalized, PLACEHOLDER, read, UNREADABLE } from '../reading.ts'
import type { Region } from './field.ts'
import metadata from 'libphonenumber-js/max/metadata'

export function normalizePhone(text: string, region: Region): Normalized {
  const dialled = readDialled(text)
  if (dialled === undefined) return UNREADABLE
  const { digits, hasPlus } = dialled
  const country = (region.country !== undefined && numberingCountry(region.country)) || undefined
  const number = hasPlus ? fromAbroad(digits) : withoutPlus(digits, country)
  if (number !== undefined) return isFiller(number) ? PLACEHOLDER : read(number)
  return hasPlus || country !== undefined ? UNREADABLE : withoutCountry(digits)
}

/** After a calling code of three digits at most. */
const ONE_DIGIT_THROUGHOUT = /^\d{1,3}?(\d)\1{4,}$/

/** What is typed into a field that has to be filled in: `000000000`, `1111111111`. Some such numbers are valid, though. */
function isFiller(number: string): boolean {
  // North America: `1`, then area code and exchange, neither of which begins with 0 or 1.
  if (number.startsWith('1') && (number[1]! <= '1' || number[4]! <= '1')) return true
  // Nearly all numbers end here.
  if (number.at(-1) !== number.at(-2) || !ONE_DIGIT_THROUGHOUT.test(number)) return false
  const parsed = parsePhoneNumberFromString(`+${number}`)
  const national = parsed?.nationalNumber ?? number
  return new Set(national).size === 1 && parsed?.isValid() !== true
}

interface Dialled {
  readonly digits: string
  readonly hasPlus: boolean
}

/** More than there are. */
const MOST_COUNTRIES = 300

/** An exit code of five, a calling code of three and the seventeen digits that libphonenumber allows, and some. */
const MAX_DIGITS = 32

/** As most numbers are typed: nothing in it can be a label, an extension, a remark or a digit of another script. */
const PUNCTUATED_NUMBER = /^(?!\(?[1-79]\D+0|\d[.)]\s)\+?(?=.{1,32}$)(?:[ ().-]*\d){1,7}[\d ).-]*$/
const NOT_DIGITS = /\D+/g

/** What spreadsheets make of numbers: `491711234567.0` is read, `4.91711E+11` has lost its end. */
const SPREADSHEET_TAIL = /(?<=^\+?\d{6,20})\.0+$/
const EXPONENT = /^\+?\d(?:[.,]\d{1,20})?e\+?\d{1,3}$/i

/** With spaces, brackets and remarks. */
const MAX_LENGTH = 250

/** `1) 0171…`, `1. 0171…`, `Handy 2: 0171…`, `(Home 2) 0171…`. */
const LABEL = /^(?:\d[.)]\s+|[^\d+]*\p{L}[^\d+(]{0,3}\d\s?[:)])/u

/**
 * Extension marks count after a digit only: `Fax 030…` has none. `~`, `int` and `доб` are libphonenumber's own. Behind seven digits
 * also a bracket, as in `(2. Stock)`, and a comma before words or another one, with which phones wait.
 */
const EXTENSION = /[x#~]|ext|;\s?[a-z]|int|доб|(?:\(|,(?=\s*[,\p{L}]))(?<=(?:\d\D*){7}.)/iu

/** `1-800-FLOWERS`: letters in place of digits. After seven digits they are a remark (`… home`). */
const VANITY = /^(?:\d[^\p{L}\d]*){1,6}\p{L}{3}/u

/**
 * Digits that are no part of the number. Behind letters: an extension in words, another number, or a typing error (`0171 l234567`).
 * Before them, set apart: `2. Stock`, `24h`. Before a `+` or a zero: `Tel1 0171…` (Belarus dials `8 0`).
 */
const OTHER_DIGITS = /\p{L}.*\d|(?:\d{3}\s\d?|\s)\d[^\p{L}\d-]*\p{L}|\s\d\d\p{L}|\d\D*\+\D*\d|^[1-79]\D+0/su

const BETWEEN_GROUPS = String.raw`\p{Zs}().\/_'’\p{Pd}\u2212`

/** Behind a whole number: `030 901820, 12`, `030 901820 [2]`, `030 901820/21`. */
const SECOND_NUMBER = new RegExp(
  String.raw`^(?:\d[${BETWEEN_GROUPS}]*){7,}[^\d${BETWEEN_GROUPS}]\D*\d|^(?:\d[^\d/]*){7,}\/\D*\d\d?$`,
  'su',
)

/** The digits of a typed number, without extension, and whether a `+` precedes the first. */
function readDialled(typed: string): Dialled | undefined {
  const text = typed.endsWith('0') ? typed.replace(SPREADSHEET_TAIL, '') : typed
  if (PUNCTUATED_NUMBER.test(text)) {
    return { digits: text.replace(NOT_DIGITS, ''), hasPlus: text.startsWith('+') }
  }
  if (text.length > MAX_LENGTH || EXPONENT.test(typed)) return undefined
  const plain = toPlainDigits(text).replace(LABEL, '')
  const start = plain.search(/\d/)
  if (start === -1) return undefined
  const rest = plain.slice(start)
  const end = rest.search(EXTENSION)
  const number = end === -1 ? rest : rest.slice(0, end)
  const digits = number.replace(NOT_DIGITS, '')
  if (digits.length > MAX_DIGITS) return undefined
  if (VANITY.test(number) || OTHER_DIGITS.test(number) || SECOND_NUMBER.test(number)) return undefined
  return { digits, hasPlus: plain.slice(0, start).includes('+') }
}

function withoutPlus(digits: string, country: CountryCode | undefined): string | undefined {
  const abroad = digits.startsWith('00') ? fromAbroad(digits.slice(2)) : undefined
  if (abroad !== undefined || country === undefined) return abroad
  return dialledIn(country, country === 'MX' ? digits.replace(FORMERLY_IN_MEXICO, '') : digits)
}

export function dialledIn(country: CountryCode, digits: string): string | undefined {
  return withOwnCallingCode(digits, country) ?? national(digits, country)
}

function fromAbroad(digits: string): string | undefined {
  return international(digits.replace(FORMERLY_TO_MEXICO, '52'))
}

/** Until 2019 mobile numbers were dialled so, and WhatsApp still writes them so; libphonenumber forgot them since. */
const FORMERLY_TO_MEXICO = /^521(?=\d{10}$)/
const FORMERLY_IN_MEXICO = /^(?:521|01|04[45])(?=\d{10}$)/

/** Whether the calling code is missing is unknown: the hash may match, and the storefront gets a warning. */
function withoutCountry(digits: string): Normalized {
  const significant = digits.replace(/^0+/, '')
  const isLikely = !digits.startsWith('00') && significant.length >= 7 && significant.length <= 15
  if (new Set(significant).size === 1) return PLACEHOLDER
  return isLikely ? { ...read(significant), warning: 'phone_without_country' } : UNREADABLE
}

/** With the shortcuts below, which have the same answers as the library. */
export function international(digits: string): string | undefined {
  const number = judgeInternational(digits)
  return number === undefined ? parsePossible(`+${digits}`) : (number ?? undefined)
}

export function national(digits: string, country: CountryCode): string | undefined {
  const number = judgeDialled(digits, country)
  return number === undefined ? parsePossible(digits, country) : (number ?? undefined)
}

export function parsePossible(dialled: string, country?: CountryCode): string | undefined {
  const parsed = parsePhoneNumberFromString(dialled, country)
  return parsed?.isPossible() ? parsed.number.slice(1) : undefined
}

/** `14155552671` in the United States lacks the `+` alone. It must be valid, not just possible, to be read so. */
function withOwnCallingCode(digits: string, country: CountryCode): string | undefined {
  const { callingCode, trunk } = diallingOf(country)
  if (!digits.startsWith(callingCode)) return undefined
  // In North America the calling code is the trunk prefix, too.
  if (callingCode === '1' && digits.length === 11) return international(digits)
  const significant = digits.slice(callingCode.length)
  if (metadata.country_calling_codes[callingCode]!.length === 1 && !trunk?.exec(significant)?.[0]) {
    return validOf(country).test(significant) ? digits : undefined
  }
  const parsed = parsePhoneNumberFromString(`+${digits}`)
  return parsed?.isValid() ? parsed.number.slice(1) : undefined
}

/** The region as libphonenumber knows it; false for Antarctica and a few islands, which have no numbering plan. Looking it up takes 0.3 µs. */
const numberingCountry = remembered(MOST_COUNTRIES, (country: string) => {
  const code = country.toUpperCase()
  return isSupportedCountry(code) && code
})

/** The number, or null if it is impossible; undefined where the library has to decide. */
export type Judgement = string | null | undefined

/**
 * A shortcut through libphonenumber's numbering plans for usual numbers. Parsing costs five to ten microseconds; for
 * most numbers only two things are in question: is a trunk prefix in front of the national number, and is its length
 * possible. Doubtful cases are left to the library (undefined), so that both ways always agree (a property
 * test checks that).
 *
 * `digits` follow a `+`.
 */
export function judgeInternational(digits: string): Judgement {
  // No calling code is the beginning of another.
  for (const length of CALLING_CODE_LENGTHS) {
    const plan = PLANS.get(digits.slice(0, length))
    if (plan !== undefined) return judgeNational(digits.slice(length), plan, plan.main)
  }
  return null
}

/** Digits as dialled inside a country; what may begin with an exit or calling code is left to the library. */
export function judgeDialled(digits: string, country: CountryCode): Judgement {
  const dialling = diallingOf(country)
  const plan = PLANS.get(dialling.callingCode)
  if (plan === undefined || digits.startsWith(dialling.callingCode) || dialling.exit.test(digits))
    return undefined
  return judgeNational(digits, plan, dialling)
}

/** How numbers are dialled in one country. */
interface Dialling {
  readonly callingCode: string
  readonly exit: RegExp
  readonly trunk: RegExp | undefined
  /** Of national numbers without trunk prefix. */
  readonly pattern: RegExp
}

/** What the countries that share a calling code have in common. */
interface Plan {
  /** The one whose trunk prefix libphonenumber tries for the calling code as a whole. */
  readonly main: Dialling
  /** Lengths of national numbers that every one of them has. */
  readonly sharedLengths: ReadonlySet<number>
  /** Lengths that any of them has. */
  readonly allLengths: ReadonlySet<number>
}

// Places in libphonenumber-js's arrays: https://gitlab.com/catamphetamine/libphonenumber-js/-/blob/master/METADATA.md
const CALLING_CODE = 0
const EXIT_PREFIX = 1
const PATTERN = 2
const LENGTHS = 3
const NATIONAL_PREFIX = 5
const PREFIX_FOR_PARSING = 7
const TYPES = 11

const CALLING_CODE_LENGTHS = [1, 2, 3]
const PLANS = createPlans()

function createPlans(): ReadonlyMap<string, Plan> {
  const plans = new Map<string, Plan>()
  for (const [code, entry] of Object.entries(metadata.nonGeographic)) plans.set(code, createPlan([entry]))
  for (const [code, countries] of Object.entries(metadata.country_calling_codes)) {
    plans.set(code, createPlan(countries.map((country) => metadata.countries[country] ?? [])))
  }
  return plans
}

function createPlan(entries: readonly (readonly unknown[])[]): Plan {
  const lengths = entries.map((entry) => (entry[LENGTHS] ?? []) as readonly number[])
  const all = new Set(lengths.flat())
  return {
    main: readDialling(entries[0] ?? []),
    sharedLengths: new Set([...all].filter((length) => lengths.every((some) => some.includes(length)))),
    allLengths: all,
  }
}

function judgeNational(dialled: string, plan: Plan, { callingCode, trunk, pattern }: Dialling): Judgement {
  const prefix = trunk?.exec(dialled)
  let digits = dialled
  // A pattern may match nothing at all, as Argentina's does: then it takes nothing away.
  if (prefix && prefix[0] !== '') {
    // A group that matched is a carrier's code or calls for a replacement.
    if (prefix.length > 1 && prefix.at(-1)) return undefined
    // A number that is complete with the prefix may have none: in Belarus 8 is a trunk prefix and begins numbers.
    if (pattern.test(dialled)) return undefined
    digits = dialled.slice(prefix[0].length)
    if (!plan.sharedLengths.has(digits.length)) return undefined
  }
  if (plan.sharedLengths.has(digits.length)) return callingCode + digits
  return plan.allLengths.has(digits.length) ? undefined : null
}

const diallingOf = remembered(MOST_COUNTRIES, (country: CountryCode) =>
  readDialling(metadata.countries[country] ?? []),
)

/** National numbers that are valid, and not just possible: those of the country's pattern and one of its types' (mobile, toll-free, …). */
const validOf = remembered(MOST_COUNTRIES, (country: CountryCode) => {
  const entry = metadata.countries[country] ?? []
  const types = (entry[TYPES] ?? []) as readonly (readonly [pattern: string, lengths?: readonly number[]])[]
  const patterns = types
    .filter((type) => type?.[0])
    .map(([pattern, lengths = entry[LENGTHS] as readonly number[]]) => {
      const ofLength = lengths.map((length) => `.{${length}}`).join('|')
      return `(?=(?:${ofLength})$)(?:${pattern})$`
    })
  return new RegExp(`^(?=(?:${String(entry[PATTERN])})$)(?:${patterns.join('|')})`)
})

function readDialling(entry: readonly unknown[]): Dialling {
  const trunk = entry[PREFIX_FOR_PARSING] || entry[NATIONAL_PREFIX]
  return {
    callingCode: String(entry[CALLING_CODE]),
    exit: new RegExp(`^(?:${String(entry[EXIT_PREFIX])})`),
    trunk: typeof trunk === 'string' ? new RegExp(`^(?:${trunk})`) : undefined,
    pattern: new RegExp(`^(?:${String(entry[PATTERN])})$`),
  }
}
