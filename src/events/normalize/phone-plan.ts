/**
 * A shortcut through libphonenumber's numbering plans for usual numbers. Parsing costs five to ten microseconds; for
 * most numbers only two things are in question: is a trunk prefix in front of the national number, and is its length
 * possible. Whatever is not beyond doubt is left to the library (undefined), so that both ways always agree (a property
 * test holds them to it).
 */
import type { CountryCode } from 'libphonenumber-js/max'
import metadata from 'libphonenumber-js/max/metadata'

/** The number, or null if it is impossible; undefined where this is for the library to tell. */
export type Judgement = string | null | undefined

/** Digits that follow a `+`. */
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

const CALLING_CODE_LENGTHS = [1, 2, 3]
const DIALLING = new Map<CountryCode, Dialling>()
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

export function diallingOf(country: CountryCode): Dialling {
  let dialling = DIALLING.get(country)
  if (dialling === undefined) {
    dialling = readDialling(metadata.countries[country] ?? [])
    DIALLING.set(country, dialling)
  }
  return dialling
}

function readDialling(entry: readonly unknown[]): Dialling {
  const trunk = entry[PREFIX_FOR_PARSING] || entry[NATIONAL_PREFIX]
  return {
    callingCode: String(entry[CALLING_CODE]),
    exit: new RegExp(`^(?:${String(entry[EXIT_PREFIX])})`),
    trunk: typeof trunk === 'string' ? new RegExp(`^(?:${trunk})`) : undefined,
    pattern: new RegExp(`^(?:${String(entry[PATTERN])})$`),
  }
}
