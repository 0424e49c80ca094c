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

/** By country: the code for each code and folded name. */
export const CLOSED_LISTS: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ['us', createList(UNITED_STATES)],
  ['ca', createList(CANADA)],
  ['au', createList(AUSTRALIA)],
])

function createList(written: string): ReadonlyMap<string, string> {
  const states = written.split(';').flatMap((entry) => {
    const [first = '', ...names] = entry.split(',')
    const [code = '', ...name] = first.trim().split(/\s+/)
    return [code, name.join(' '), ...names].map((known) => [foldName(known), code] as const)
  })
  // The codes last: none means another state than its own.
  return new Map([...states, ...states.map(([, code]) => [code, code] as const)])
}
