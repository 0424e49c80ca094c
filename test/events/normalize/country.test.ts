// Without its languages: those are for what is tested to bring.
import countries from 'i18n-iso-countries/index.js'
import t from 'tap'
import { checkTable, type Row } from './table.ts'

const written: Readonly<Record<string, readonly unknown[]>> = {
  us: ['US', 'us', 'USA', 'U.S.A.', 'U.S.', 'United States', 'united states of america', '840', 840],
  gb: ['UK', 'U.K.', 'GB', 'GBR', 'United Kingdom', 'The United Kingdom', 'Great Britain', 'England', '826'],
  de: ['Deutschland', 'DEUTSCHLAND', 'Germany', 'DEU', ' de '],
  fr: ['France', 'fra'],
  ch: ['Schweiz', 'Suisse', 'Svizzera', 'Svizra', 'Switzerland'],
  be: ['België', 'Belgie', 'Belgique', 'Belgien'],
  nl: ['Nederland', 'Netherlands', 'the Netherlands', 'The Netherlands', 'Holland'],
  es: ['España', 'ESPANA', 'Espan\u0303a', 'Spain'],
  at: ['Österreich', 'osterreich'],
  ci: ['Côte d’Ivoire', "Cote d'Ivoire", 'Ivory Coast'],
  tr: ['Türkiye', 'TÜRKİYE', 'Turkey', 'turkiye'],
  gr: ['Ελλάδα', 'ΕΛΛΑΔΑ', 'Greece'],
  ru: ['Россия', 'Russia', 'Russian Federation'],
  ua: ['Україна', 'Ukraine'],
  rs: ['Србија', 'Srbija', 'Serbia'],
  jp: ['日本', 'Japan'],
  cn: ['中国', 'China', 'CHN'],
  tw: ['台灣', 'Taiwan'],
  hk: ['Hong Kong', '香港', 'Hong Kong SAR China'],
  kr: ['대한민국', 'South Korea', 'Korea, Republic of'],
  ae: ['UAE', 'United Arab Emirates', 'الإمارات العربية المتحدة'],
  il: ['ישראל', 'Israel'],
  in: ['भारत', 'India'],
  th: ['ไทย', 'Thailand'],
  vn: ['Việt Nam', 'Vietnam'],
  br: ['Brasil', 'Brazil'],
  mx: ['México', 'Mexico'],
  cz: ['Czechia', 'Czech Republic', 'Česko'],
  no: ['Norge', 'Noreg', 'Norway'],
  fi: ['Suomi', 'Finland'],
  ie: ['Éire', 'Ireland', 'Republic of Ireland'],
  gm: ['The Gambia', 'Gambia'],
  xk: ['XK', 'Kosovo'],
  na: ['NA', 'Namibia'],
  ge: ['Georgia', 'საქართველო'],
  af: ['4', '004', 4],
}

t.test('countries in codes and names are alpha-2', async (t) => {
  const rows = Object.entries(written).flatMap(([country, typed]) =>
    typed.map((value): Row => [value, country]),
  )
  checkTable(t, 'country', rows)
})

t.test('every alpha-2, alpha-3 and numeric code of ISO 3166 is known', async (t) => {
  const codes = Object.entries(countries.getAlpha2Codes())
  t.ok(codes.length > 245)
  const rows = codes.flatMap(([alpha2, alpha3]): Row[] => [
    [alpha2, alpha2.toLowerCase()],
    [alpha3, alpha2.toLowerCase()],
    [countries.alpha2ToNumeric(alpha2) ?? alpha2, alpha2.toLowerCase()],
    [countries.getName(alpha2, 'en'), alpha2.toLowerCase()],
  ])
  checkTable(t, 'country', rows)
})

t.test('what means no one country is dropped', async (t) => {
  const wrong = [
    'Kanada',
    'Allemagne',
    'Congo',
    'Korea',
    'Europe',
    'EU',
    'ZZ',
    'XX',
    'AAA',
    '999',
    '000',
    '0',
    '1234',
    'DU',
    'Çà',
    '8-40',
    '🇺🇸',
    'the',
    'US or Canada',
    'constructor',
    '__proto__',
    'x'.repeat(201),
  ]
  checkTable(
    t,
    'country',
    wrong.map((typed): Row => [typed, '(unreadable)']),
  )
  checkTable(t, 'country', [
    ['N/A', '(placeholder)'],
    ['N.A.', '(placeholder)'],
    ['null', '(placeholder)'],
    ['Unknown', '(placeholder)'],
  ])
})
