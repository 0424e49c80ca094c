/**
 * States and provinces: two or three letters or digits, as ISO 3166-2 has them after the country. The lists of the United
 * States, Canada and Australia are closed: there, nothing but their own codes comes out, from codes, names and traditional
 * abbreviations. Names elsewhere are dropped, since nobody could match them.
 */
import { type Normalized, read, UNREADABLE } from '../reading.ts'
import { isCountry } from './country.ts'
import type { Region } from './field.ts'
import { entriesOf, foldName, lettersAndDigits } from './fold.ts'

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

function codeOf(text: string, country: string | undefined): string | undefined {
  const code = lettersAndDigits(text)
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
 * `US-CA` without `US-`. A prefix other than the event's own country has to have the form of a code, or else
 * a name such as Al-Ain would be taken for a place in Albania.
 */
function readPrefix(text: string, country: string | undefined): Prefixed | undefined {
  const [, prefix = '', rest = ''] = WITH_COUNTRY.exec(text) ?? []
  const lower = prefix.toLowerCase()
  if (!isCountry(lower)) return undefined
  const isOwn = listOf(lower) === country || (country === undefined && text === text.toLowerCase())
  return isOwn || text === text.toUpperCase() ? { country: listOf(lower)!, rest } : undefined
}

/** The territories with a country code of their own have ZIP codes, and are among the states. */
export function usesUsZip(country: string): boolean {
  return /^(?:us|pr|gu|vi|as|mp)$/.test(country)
}

/**
 * By code: names, and the abbreviations that were used before the codes and have one meaning. Codes are those of ISO 3166-2, and of
 * the postal services of the United States those of armed forces and freely associated states. Abbreviations: the Government
 * Publishing Office's Style Manual, the Associated Press and older post offices.
 */
const UNITED_STATES = `
  al Alabama, Ala.; ak Alaska, Alas.; az Arizona, Ariz.; ar Arkansas, Ark.; ca California, Calif., Cal.;
  co Colorado, Colo.; ct Connecticut, Conn.; de Delaware, Del.;
  dc District of Columbia, Dist. of Columbia, Washington D.C., Washington District of Columbia; fl Florida, Fla.;
  ga Georgia; hi Hawaii; id Idaho, Ida.; il Illinois, Ill., Ills.; in Indiana, Ind.; ia Iowa;
  ks Kansas, Kans., Kan.; ky Kentucky; la Louisiana; me Maine; md Maryland; ma Massachusetts, Mass.;
  mi Michigan, Mich.; mn Minnesota, Minn.; ms Mississippi, Miss.; mo Missouri; mt Montana, Mont.;
  ne Nebraska, Nebr., Neb.; nv Nevada, Nev.; nh New Hampshire, N. Hampshire; nj New Jersey, N. Jersey;
  nm New Mexico, N. Mex., N. Mexico, New Mex.; ny New York, N. York; nc North Carolina, N. Car., N. Carolina, No. Carolina;
  nd North Dakota, N. Dak., N. Dakota, No. Dakota, No. Dak.; oh Ohio; ok Oklahoma, Okla.; or Oregon, Oreg., Ore.;
  pa Pennsylvania, Penn., Penna.; ri Rhode Island, Rhode Island and Providence Plantations, Rhode Isl.;
  sc South Carolina, S. Car., S. Carolina, So. Carolina; sd South Dakota, S. Dak., S. Dakota, So. Dakota, So. Dak.;
  tn Tennessee, Tenn.; tx Texas, Tex.; ut Utah; vt Vermont; va Virginia; wa Washington, Wash.;
  wv West Virginia, W. Va., W. Virginia, West Va.; wi Wisconsin, Wis., Wisc.; wy Wyoming, Wyo.;
  pr Puerto Rico, Porto Rico; gu Guam; as American Samoa, Amer. Samoa;
  vi Virgin Islands, U.S. Virgin Islands, United States Virgin Islands, Virgin Islands of the United States,
    Virgin Islands (U.S.), U.S.V.I.;
  mp Northern Mariana Islands, Commonwealth of the Northern Mariana Islands, C.N.M.I.;
  um United States Minor Outlying Islands, U.S. Minor Outlying Islands;
  fm Federated States of Micronesia, Micronesia; mh Marshall Islands; pw Palau;
  aa Armed Forces Americas, Armed Forces (AA), Armed Forces (the) Americas;
  ae Armed Forces Europe, Armed Forces (AE), Armed Forces Africa, Armed Forces Canada, Armed Forces Middle East,
    Armed Forces Europe the Middle East and Canada, Armed Forces Europe Middle East & Canada, Armed Forces Europe Africa Middle East Canada;
  ap Armed Forces Pacific, Armed Forces (AP)`

/** Abbreviations: Canada Post's former ones, and those of the Translation Bureau in both languages. */
const CANADA = `
  ab Alberta, Alta.; bc British Columbia, Brit. Col., Colombie-Britannique, C.-B.; mb Manitoba, Man.;
  nb New Brunswick, Nouveau-Brunswick, New Bruns.;
  nl Newfoundland and Labrador, Newfoundland & Labrador, Newfoundland, Labrador, Nfld., Nfld. & Lab., Nfld. and Lab., Newf., Nfl.,
    NF, Lab., Terre-Neuve-et-Labrador, Terre-Neuve, T.-N.-L., T.-N.;
  ns Nova Scotia, Nouvelle-Écosse; nt Northwest Territories, Northwest Territory, N.W.T., NW Territories, N.W. Territories,
    Territoires du Nord-Ouest, T.N.-O.; nu Nunavut, Nun., Nvt.; on Ontario, Ont.;
  pe Prince Edward Island, P.E.I., P.E. Island, Prince Edward Isl., Île-du-Prince-Édouard, Î.-P.-É.;
  qc Quebec, Que., P.Q., QU; sk Saskatchewan, Sask.; yt Yukon, Yukon Territory, Territoire du Yukon, Yuk., Y.T., YK`

/** Abbreviations: Australia Post's, and those of the Style Manual. */
const AUSTRALIA = `
  nsw New South Wales, N.S. Wales; vic Victoria, Vict.; qld Queensland, Q'land, Qnsld.; sa South Australia, S. Australia, Sth Australia, S. Aust., South Aust.;
  wa Western Australia, W. Australia, West Australia, W. Aust., West. Aust.; tas Tasmania, Tasm.;
  nt Northern Territory, N. Territory, Nth Territory, N. Terr., Northern Terr.;
  act Australian Capital Territory, Aust. Capital Territory, A. Capital Territory`

/** By country: the code for each code and folded name. */
const CLOSED_LISTS: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ['us', createList(UNITED_STATES)],
  ['ca', createList(CANADA)],
  ['au', createList(AUSTRALIA)],
])

function createList(written: string): ReadonlyMap<string, string> {
  const states = entriesOf(written).flatMap(([code, names]) =>
    [code, ...names.split(',')].map((known) => [foldName(known), code] as const),
  )
  // The codes last: none means another state than its own.
  return new Map([...states, ...states.map(([, code]) => [code, code] as const)])
}
