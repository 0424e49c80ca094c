/** What shops, ISO and address books make of a country's name. */
import t from 'tap'
import { checkTable, type Row } from './table.ts'

const labels: Readonly<Record<string, readonly string[]>> = {
  us: ['United States (US)', 'United States of America (the)', 'US - United States', 'United States – US', 'USA (United States)', 'US United States', '"United States"'],
  gb: ['United Kingdom (UK)', 'United Kingdom (GB)', 'UK - United Kingdom', 'United Kingdom of Great Britain and Northern Ireland (the)', 'England (UK)', 'Ireland (Northern)'],
  de: ['Germany (DE)', 'Germany (DEU)', 'Germany [DE]', 'Germany, DE', 'DE: Germany', 'DE | Deutschland', 'Deutschland (Germany)', 'Germany, Federal Republic of', 'Federal Republic of Germany', 'Germany (276)'],
  nl: ['Netherlands (the)', 'Netherlands, The', 'The Netherlands (Holland)', 'Netherlands (Kingdom of the)'],
  ir: ['Iran (Islamic Republic of)', 'Iran, Islamic Republic of'],
  kr: ['Korea, Republic of', 'Korea (the Republic of)', 'Korea, South', 'Korea (South)', 'South Korea', 'KR - South Korea'],
  kp: ["Korea, Democratic People's Republic of", 'Korea (the Democratic People’s Republic of)', 'Korea (North)'],
  cd: ['Congo (Kinshasa)', 'Congo, the Democratic Republic of the', 'Congo (the Democratic Republic of the)'],
  cg: ['Congo (Brazzaville)', 'Congo (the)', 'Congo, Republic of'],
  bo: ['Bolivia (Plurinational State of)', 'Bolivia, Plurinational State of'],
  fm: ['Micronesia (Federated States of)', 'Micronesia'],
  mf: ['Saint Martin (French part)'],
  sx: ['Saint Martin (Dutch part)', 'Sint Maarten (Dutch part)'],
  vg: ['Virgin Islands (British)', 'Virgin Islands, British'],
  vi: ['Virgin Islands (US)', 'Virgin Islands (U.S.)', 'United States (US) Virgin Islands'],
  um: ['United States (US) Minor Outlying Islands'],
  as: ['Samoa (American)'],
  gq: ['Guinea (Equatorial)'],
  fk: ['Falkland Islands (the) [Malvinas]', 'Falkland Islands (Malvinas)'],
  gs: ['South Georgia/Sandwich Islands'],
  bq: ['Bonaire, Saint Eustatius and Saba', 'Bonaire, Sint Eustatius and Saba'],
  sh: ['Saint Helena, Ascension and Tristan da Cunha'],
  ps: ['Palestinian Territory', 'Palestine, State of', 'Palestinian Territory, Occupied'],
  tw: ['Taiwan (Province of China)', 'Taiwan, Province of China'],
  tz: ['Tanzania, the United Republic of'],
  va: ['Holy See (the)', 'Holy See (Vatican City State)'],
  pw: ['Belau'],
  tl: ['Timor-Leste (East Timor)'],
  cw: ['Cura&ccedil;ao'],
  bl: ['Saint Barth&eacute;lemy'],
  st: ['S&atilde;o Tom&eacute; and Pr&iacute;ncipe'],
  cc: ['Cocos (Keeling) Islands (the)'],
  hk: ['China, Hong Kong Special Administrative Region', 'Hong Kong SAR'],
  se: ['the Kingdom of Sweden'],
  cn: ["China, People's Republic of"],
} // prettier-ignore

t.test('labels of shops and ISO mean their country', async (t) => {
  for (const [country, written] of Object.entries(labels)) {
    checkTable(
      t,
      'country',
      written.map((label): Row => [label, country]),
    )
  }
})

t.test('a label that means two countries, or a place, is dropped', async (t) => {
  const wrong = [
    'Georgia (US)', 'Georgia, US', 'State of Georgia', 'Niger (NG)', 'France (Réunion)', 'China (Hong Kong)', 'Korea', 'Congo',
    'CA - California', 'IN - Indiana', 'GA - Georgia', 'EU - France', 'Paris, France', 'Lebanon, PA', 'Germany (Republic of Austria)',
    'US, CA', 'DE - FR', 'Virgin Islands', '()', '(DE)X', 'Freedonia (FR)',
  ] // prettier-ignore
  checkTable(
    t,
    'country',
    wrong.map((label): Row => [label, '(unreadable)']),
  )
})
