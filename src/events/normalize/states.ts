/**
 * The states of the United States, Canada and Australia: their codes (ISO 3166-2, and of the postal services of the United States
 * those of armed forces and freely associated states), names, and the abbreviations that were used before the codes and have
 * one meaning.
 */
import { foldName } from './fold.ts'

/** The territories with a country code of their own have ZIP codes, and are among the states. */
export function usesUsZip(country: string): boolean {
  return /^(?:us|pr|gu|vi|as|mp)$/.test(country)
}

export function hasClosedList(country: string): boolean {
  return LISTS.has(country)
}

/** Is it one of the country's own codes, in lower case? False where the list is not closed. */
export function isCodeOf(country: string, code: string): boolean {
  return LISTS.get(country)?.codes.has(code) ?? false
}

/** From a code, a name or an abbreviation, folded by `foldName`. */
export function stateOf(country: string, folded: string): string | undefined {
  return findState(LISTS.get(country)!, folded)
}

/** Where no country is known. `QUE` may be Querétaro: so short, it has to be written as an abbreviation. */
export function stateOfAnyCountry(folded: string, isAbbreviated: boolean): string | undefined {
  if (folded.length <= LONGEST_CODE && !isAbbreviated && !KNOWN_ALONE.has(folded)) return undefined
  for (const list of LISTS.values()) {
    const state = list.codes.has(folded) ? undefined : findState(list, folded)
    if (state !== undefined) return state
  }
  return undefined
}

interface StateList {
  readonly codes: ReadonlySet<string>
  /** By folded names and codes. */
  readonly states: ReadonlyMap<string, string>
}

const LONGEST_CODE = 3

/** No codes of any country. */
const KNOWN_ALONE: ReadonlySet<string> = new Set(['fla', 'nwt', 'ont', 'pei', 'pq', 'tex'])

function findState({ states }: StateList, folded: string): string | undefined {
  return states.get(folded) ?? states.get(folded.replace(AROUND_A_NAME, ''))
}

/** `State of New York`, `Washington State`, `Commonwealth of Massachusetts`, `Province de Québec`. */
const AROUND_A_NAME =
  /^(?:state|commonwealth|province|territory)of(?:the)?|^province(?:de|du)|(?:state|province)$/

/** Abbreviations of the Government Publishing Office's Style Manual, the Associated Press and older post offices. */
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

const LISTS: ReadonlyMap<string, StateList> = new Map([
  ['us', createList(UNITED_STATES)],
  ['ca', createList(CANADA)],
  ['au', createList(AUSTRALIA)],
])

function createList(written: string): StateList {
  const entries = written.split(';').map((entry) => {
    const [first = '', ...names] = entry.split(',').map((name) => name.trim().replace(/\s+/g, ' '))
    const [code = '', ...name] = first.split(' ')
    return { code, names: [name.join(' '), ...names] }
  })
  const codes = new Set(entries.map(({ code }) => code))
  const states = new Map([...codes].map((code) => [code, code]))
  for (const { code, names } of entries) for (const name of names) states.set(foldName(name), code)
  return { codes, states }
}
