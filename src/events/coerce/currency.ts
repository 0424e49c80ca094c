/** Currencies: ISO 4217 codes, as the runtime knows them, in any case, or their numbers; also as a list of one. */
import { withoutInvisible } from '../normalize/clean-text.ts'
import { withoutQuotes } from '../normalize/quotes.ts'
import { listOr } from '../lists.ts'
import { CURRENCY_NUMBERS } from './currency-numbers.ts'
import { ABSENT, isAbsent, read, type Reading } from './reading.ts'

const CODES: ReadonlyMap<string, string> = new Map(
  Intl.supportedValuesOf('currency').flatMap((code) => [
    [code, code],
    [code.toLowerCase(), code],
  ]),
)
const UNREADABLE = { status: 'dropped', code: 'unreadable' } as const

export function currency(value: unknown): Reading<string> {
  // The common case.
  const code = typeof value === 'string' ? CODES.get(value) : undefined
  return code === undefined ? readCurrency(value) : read(code)
}

function readCurrency(value: unknown): Reading<string> {
  const found = onlyOne(listOr(value))
  if (isAbsent(found)) return ABSENT
  if (typeof found !== 'string' && typeof found !== 'number') return UNREADABLE
  const text = String(found).trim()
  const code = codeOf(text) ?? codeOf(withoutQuotes(withoutInvisible(text).trim()))
  if (code !== undefined) return read(code)
  return withoutInvisible(text).trim() === '' ? ABSENT : UNREADABLE
}

/** Of a list its one value; the list itself if there are several. */
function onlyOne(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const values = value.filter((one) => !isAbsent(one))
  return values.length > 1 ? value : values[0]
}

/** Pence. Read as pounds it would be a hundred times the money. */
const PENCE = 'GBp'

/** The shape is tested before upper-casing: `ı` would become an `I`. */
function codeOf(text: string): string | undefined {
  if (/^\d{1,3}$/.test(text)) return CURRENCY_NUMBERS.get(text.padStart(3, '0'))
  return /^[A-Za-z]{3}$/.test(text) && text !== PENCE ? CODES.get(text.toUpperCase()) : undefined
}
