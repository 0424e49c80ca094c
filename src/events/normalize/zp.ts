/**
 * Postcodes. In the United States and its territories five digits, whatever spreadsheets did to the leading zeros;
 * elsewhere the letters and digits alone, without the sign of the country before them.
 */
import { type Normalized, PLACEHOLDER, read, UNREADABLE } from '../reading.ts'
import { toPlainDigits } from './digits.ts'
import { entriesOf, lettersAndDigits } from './fold.ts'
import type { Region } from './field.ts'
import { usesUsZip } from './st.ts'

/** The longest postcode has ten characters. */
const MAX_LENGTH = 32

export function normalizePostcode(text: string, { country }: Region): Normalized {
  if (text.length > MAX_LENGTH) return UNREADABLE
  // Full-width digits are usual in Japan; Pinterest could never match them.
  const plain = withoutSpreadsheetMarks(toPlainDigits(text))
  const postcode =
    country === undefined
      ? (readZip(plain, FULL_ZIP) ?? readLetters(plain))
      : usesUsZip(country)
        ? readZip(plain, ZIP)
        : readLetters(withoutSign(plain, country))
  if (postcode === undefined || postcode === '') return UNREADABLE
  return postcode.startsWith('0') && ONLY_ZEROS.test(postcode) ? PLACEHOLDER : read(postcode)
}

/** `'02139`: spreadsheets take what follows for text. What they take for a number may get a fraction: `10115.0` is no `101150`. */
function withoutSpreadsheetMarks(text: string): string {
  const unquoted = text.startsWith("'") || text.startsWith('’') ? text.slice(1).trimStart() : text
  return unquoted.includes('.') ? unquoted.replace(FRACTION, '') : unquoted
}

const FRACTION = /(?<=^\d{3,10})\.0+$/

const FULL_ZIP = /^(\d{5})(?:\s?[\p{Pd}\u2212]?\s?\d{4})?$/u
const ZIP = /^(\d{3,5})(?:\s?[\p{Pd}\u2212]?\s?\d{4})?$/u
const ONLY_ZEROS = /^0+$/

function readZip(text: string, shape: RegExp): string | undefined {
  return shape.exec(text)?.[1]?.padStart(5, '0')
}

function readLetters(text: string): string {
  return lettersAndDigits(text.replace(CEDEX, ''))
}

/** `75008 CEDEX 08`: the delivery of companies in France, which is part of the address's line and not of the code. */
const CEDEX = /(?<=^\d\d\s?\d{3})[\s,-]*cedex.*$/is

/** Where the country's code is part of every postcode: `AD500`, `KY1-1100`, `JE2 3AB`. (UPU, Universal Postcode database.) */
const CODE_IN_POSTCODE: ReadonlySet<string> = new Set('ad ai az bb ht im je ky lc vc vg ws'.split(' '))

/** `D-10115` and `CH 8001`. */
const WITH_SIGN = /^([A-Za-z]{1,3})(?:\s*[\p{Pd}\u2212]\s*|\s+)(?=\d)/u

function withoutSign(text: string, country: string): string {
  const [whole = '', sign = ''] = WITH_SIGN.exec(text) ?? []
  const lower = sign.toLowerCase()
  if (lower === country && CODE_IN_POSTCODE.has(country)) return text
  return lower === country || SIGNS.get(country)?.includes(lower) ? text.slice(whole.length) : text
}

/**
 * Distinguishing signs of vehicles in international traffic (UNECE, Vienna Convention on Road Traffic, annex 3), former ones
 * among them, beside the country's ISO code. People write them before postcodes.
 */
const SIGNS: ReadonlyMap<string, readonly string[]> = new Map(
  entriesOf(`at A; ad AND; au AUS; ba BIH; be B; br BR; ca CDN; cl RCH; cu C; cy CY; cz CZ CS; de D; ee EST; es E; fi FIN SF; fo FR FO;
  fr F; gb UK GB; gg GBG; gi GBZ; hk HK; hu H; ie IRL; il IL; im GBM; in IND; it I; je GBJ; jp J; kr ROK; li FL; lt LT; lu L;
  mc MC; me MNE; mk NMK MK; mt M; mx MEX; my MAL; no N; nz NZ; ph RP; pt P; ru RUS; se S; si SLO; sm RSM; th T; tw RC;
  va V; vn VN; ar RA; co CO; kz KZ; kg KG; tj TJ; tm TM; uy ROU; ec EC; pe PE; py PY; ve YV; za ZA; id RI; sg SGP; ge GE; xk RKS;
  pr USA; us USA; ma MA; tn TN; dz DZ; eg ET; ir IR; iq IRQ; jo HKJ; kw KWT; lb RL; sa KSA; sy SYR; pk PK; bd BD; lk CL; np NEP;
  kh K; la LAO; mm MYA; mn MGL; gr GR; md MD; ua UA; uz UZ`).map(([country, signs]) => [
    country,
    signs.toLowerCase().split(' '),
  ]),
)
