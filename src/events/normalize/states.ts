/** Names of the states of the United States, Canada and Australia, and their codes. */
import { foldName } from './fold.ts'
import { usesUsZip } from './us-territories.ts'

/** A folded name's code, if the country is unknown or the one that the state is in. */
export function stateOfName(folded: string, country: string | undefined): string | undefined {
  const state = STATES.get(folded)
  if (state === undefined || country === undefined) return state?.code
  return state.country === (usesUsZip(country) ? 'us' : country) ? state.code : undefined
}

interface State {
  readonly country: string
  readonly code: string
}

const UNITED_STATES = `
  al Alabama, ak Alaska, az Arizona, ar Arkansas, ca California, co Colorado, ct Connecticut, de Delaware,
  dc District of Columbia, dc Washington D.C., fl Florida, ga Georgia, hi Hawaii, id Idaho, il Illinois, in Indiana,
  ia Iowa, ks Kansas, ky Kentucky, la Louisiana, me Maine, md Maryland, ma Massachusetts, mi Michigan, mn Minnesota,
  ms Mississippi, mo Missouri, mt Montana, ne Nebraska, nv Nevada, nh New Hampshire, nj New Jersey, nm New Mexico,
  ny New York, nc North Carolina, nd North Dakota, oh Ohio, ok Oklahoma, or Oregon, pa Pennsylvania, ri Rhode Island,
  sc South Carolina, sd South Dakota, tn Tennessee, tx Texas, ut Utah, vt Vermont, va Virginia, wa Washington,
  wv West Virginia, wi Wisconsin, wy Wyoming, pr Puerto Rico, gu Guam, vi Virgin Islands, vi U.S. Virgin Islands,
  vi United States Virgin Islands, vi Virgin Islands of the United States, vi Virgin Islands (U.S.),
  as American Samoa, mp Northern Mariana Islands, mp Commonwealth of the Northern Mariana Islands`

const CANADA = `
  ab Alberta, bc British Columbia, mb Manitoba, nb New Brunswick, nl Newfoundland and Labrador,
  nl Newfoundland & Labrador, nl Newfoundland, ns Nova Scotia, nt Northwest Territories, nu Nunavut, on Ontario,
  pe Prince Edward Island, qc Quebec, sk Saskatchewan, yt Yukon, yt Yukon Territory, bc Colombie-Britannique,
  nb Nouveau-Brunswick, nl Terre-Neuve-et-Labrador, nl Terre-Neuve, ns Nouvelle-Écosse,
  nt Territoires du Nord-Ouest, pe Île-du-Prince-Édouard, yt Territoire du Yukon`

const AUSTRALIA = `
  nsw New South Wales, vic Victoria, qld Queensland, sa South Australia, wa Western Australia, tas Tasmania,
  nt Northern Territory, act Australian Capital Territory`

const STATES: ReadonlyMap<string, State> = new Map([
  ...statesOf('us', UNITED_STATES),
  ...statesOf('ca', CANADA),
  ...statesOf('au', AUSTRALIA),
])

function statesOf(country: string, list: string): [string, State][] {
  return list.split(',').map((entry) => {
    const [code = '', ...name] = entry.trim().split(/\s+/)
    return [foldName(name.join('')), { country, code }]
  })
}
