/**
 * Countries as ISO 3166-1 alpha-2 in lower case: from codes of any kind, from names in English and in the country's own
 * languages, and from the labels that shops and ISO make of these.
 */
import { type Normalized, read, UNREADABLE } from '../reading.ts'
import { withoutQuotes } from './clean-text.ts'
import { entriesOf, foldName, lettersAndDigits } from './fold.ts'
import { createRequire } from 'node:module'
// The codes alone: the package's usual entry reads all of its languages.
import countries from 'i18n-iso-countries/index.js'
import { sha256Hex } from '../hash.ts'

export function normalizeCountry(text: string): Normalized {
  const country = text.length > MAX_LENGTH ? undefined : (readCountry(text) ?? readLabel(withoutQuotes(text)))
  return country === undefined ? UNREADABLE : read(country)
}

/** Of what must be a code; undefined where it is one. Not normalized in silence: a wrong guess would misread phone numbers. */
export function faultOfCode(country: string): string | undefined {
  const read = normalizeCountry(country)
  if (read.status === 'read' && country.toLowerCase() === read.value) return undefined
  const suggestion = read.status === 'read' ? `; did you mean ${read.value.toUpperCase()}?` : '.'
  return `takes a code of ISO 3166-1 alpha-2, such as US${suggestion}`
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
  const code = lettersAndDigits(lower)
  if (code === 'uk') return 'gb'
  if (isCountry(code)) return code
  return ASCII_CODE.test(code) ? countryOfCode(code) : undefined
}

const WITH_BRACKET = /^(.+?)\s*[([]([^()[\]]+)[)\]]$/
const WITH_COMMA = /^([^,]+),\s*([^,]+)$/
const TWO_SIDES = /^(.+?)(?:\s+[-\u2010-\u2015|/]\s+|\s*[:|]\s*)(.+)$|^([A-Z]{2,3})\s+(.+)$/
/** What precedes the name in a formal one. `Congo` and `Korea` alone are ambiguous and are not read. */
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
  return DISTINGUISHES.test(addition) ? undefined : country
}

const DISTINGUISHES =
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

/** Is it an ISO 3166-1 alpha-2 code in lower case, or Kosovo's `xk`? */
export function isCountry(code: string): boolean {
  return ALPHA_2.has(code)
}

/** From alpha-3 in lower case or three digits. */
function countryOfCode(code: string): string | undefined {
  return CODES.get(code)
}

/** From a name in English or in one of the country's languages, folded by `foldName`. */
function countryOfName(folded: string): string | undefined {
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
/** Takes some 80 ms, languages and all: made for the first name, since most storefronts send codes and never need it. */
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
  // Registers its languages with the package imported above.
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

/**
 * What shoppers write, what WooCommerce (i18n/countries.php) and Shopify show in their lists, ISO 3166-1's short names and the
 * formal ones of the United Nations that no rule reads.
 */
const ALSO_CALLED = `
  ae UAE; ar Argentine Republic; bq Bonaire, Saint Eustatius and Saba | Bonaire, Sint Eustatius and Saba;
  cd DR Congo | Democratic Republic of Congo; cg Congo (the) | Republic of Congo | Congo Republic; ch Swiss
  Confederation; es Canary Islands | Ceuta & Melilla; fr French Republic; ga Gabonese Republic; gb England |
  Scotland | Wales | Northern Ireland | Great Britain | United Kingdom of Great Britain and Northern
  Ireland; gr Hellenic Republic; gs South Georgia/Sandwich Islands; hk Hong Kong SAR | Hong Kong Special
  Administrative Region | Hong Kong Special Administrative Region China; ie Republic of Ireland; it Italian
  Republic; kg Kyrgyz Republic; kp Democratic People's Republic of Korea; lb Lebanese Republic; ly Libyan
  Arab Jamahiriya; mk Macedonia; mm Burma; mo Macao SAR | Macau SAR | Macao Special Administrative Region |
  Macao Special Administrative Region China; mx United Mexican States; nl Holland; ps Palestinian Territory
  | Occupied Palestinian Territory; pt Portuguese Republic; pw Belau; sh Saint Helena, Ascension and Tristan
  da Cunha | Ascension Island | Tristan da Cunha; sj Svalbard and Jan Mayen Islands; sk Slovak Republic;
  sx Saint Martin (Dutch part) | St. Martin (Dutch part); sz Swaziland; tg Togolese Republic; tl East Timor;
  tw Republic of China; um United States (US) Minor Outlying Islands | US Minor Outlying Islands; va Vatican
  | Holy See; vi United States (US) Virgin Islands | United States Virgin Islands; wf Wallis and Futuna
  Islands; ws Western Samoa`

/**
 * The languages spoken in each country: Unicode CLDR's locales (what ICU 78 resolves `language-COUNTRY` to), since
 * Intl cannot be asked for a country's languages. English is left out; it is tried for every country.
 */
const LANGUAGES = `
  af: na za; ak: gh; am: et; ar: dz bh td km dj eg er iq il jo kw lb ly mr ma om ps qa sa so sd sy tn ae eh
  ye ss; as: in; az: az; ba: ru; be: by; bg: bg; bm: ml; bn: bd in; bo: cn in; br: fr; bs: ba; ca: ad fr it
  es; ce: ru; ckb: ir iq; cs: cz; cv: ru; cy: gb; da: dk gl; de: at be de it li lu ch; dv: mv; dz: bt;
  ee: gh tg; el: cy gr; es: ar bz bo br cl co cr cu do ec sv gq gt hn mx ni pa py pe ph pr es us uy ve;
  et: ee; eu: es; fa: af ir; ff: bf cm gm gh gn gw lr mr ne ng sn sl; fi: fi; fil: ph; fo: dk fo; fr: dz be
  bj bf bi cm ca cf td km cg cd ci dj gq fr gf pf ga gp gn ht lu mg ml mq mr mu yt mc ma nc ne re rw pm sn
  sc ch sy tg tn vu wf bl mf; fy: nl; ga: ie gb; gd: gb; gl: es; gu: in; gv: im; ha: gh ne ng; he: il;
  hi: in; hr: ba hr; hu: hu; hy: am; id: id; ie: ee; ig: ng; ii: cn; is: is; it: va it sm ch; ja: jp;
  jv: id; ka: ge; ki: ke; kk: cn kz; kl: gl; km: kh; kn: in; ko: cn kp kr; ks: in; ku: iq sy tr; kw: gb;
  ky: kg; lb: lu; lg: ug; ln: ao cf cg cd; lo: la; lt: lt; lu: cd; lv: lv; mg: mg; mi: nz; mk: mk; ml: in;
  mn: mn; mr: in; ms: bn id my sg; mt: mt; my: mm; nb: no; nd: zw; ne: in np; nl: aw be nl sr bq cw sx;
  nn: no; no: no; oc: fr es; om: et ke; or: in; os: ge ru; pa: in pk; pl: pl; ps: af pk; pt: ao br cv gq gw
  lu mo mz pt st ch tl; qu: bo ec pe; rm: ch; rn: bi; ro: md ro; ru: by kz kg md ru ua; rw: rw; sa: in;
  sc: it; sd: in pk; se: fi no se; sg: cf; si: lk; sk: sk; sl: si; sn: zw; so: dj et ke so; sq: al mk xk;
  sr: ba me rs xk; sr-Latn: ba me rs xk; st: ls za; su: id; sv: fi se ax; sw: cd ke tz ug; ta: in my sg lk;
  te: in; tg: tj; th: th; ti: er et; tk: tm; tn: bw za; to: to; tr: cy tr; tt: ru; ug: cn; uk: ua; ur: in
  pk; uz: af uz; vi: vn; wo: sn; xh: za; yi: ua; yo: bj ng; za: cn; zh: cn hk mo my sg tw; zh-Hant: tw hk
  mo; zu: za`

/** Of each country other names than those that are known elsewhere. */
function otherNames(): readonly (readonly [name: string, country: string])[] {
  return entriesOf(ALSO_CALLED).flatMap(([country, names]) =>
    names.split(' | ').map((name) => [name, country] as const),
  )
}

function countriesByLanguage(): readonly (readonly [language: string, countries: readonly string[]])[] {
  return entriesOf(LANGUAGES).map(([language, countries]) => [language, countries.split(' ')])
}
