import t from 'tap'
import { FIELDS, normalizeField } from '../../../src/events/normalize/field.ts'
import { anyText } from '../../support/any-text.ts'
import fc from '../../support/fast-check.ts'
import { checkTable, regionWith } from './table.ts'

t.test('names and codes of states are two or three letters', async (t) => {
  checkTable(t, 'st', [
    ['California', 'ca'],
    ['US-CA', 'ca'],
    ['us-ca', 'ca'],
    ['CA', 'ca'],
    ['N.Y.', 'ny'],
    ['N Y', 'ny'],
    ['new  york', 'ny'],
    ['New-York', 'ny'],
    ['District of Columbia', 'dc'],
    ['Washington, D.C.', 'dc'],
    ['D.C.', 'dc'],
    ['Washington', 'wa'],
    ['Puerto Rico', 'pr'],
    ['U.S. Virgin Islands', 'vi'],
    ['Hawaiʻi', 'hi'],
    ['Québec', 'qc'],
    ['QUEBEC', 'qc'],
    ['Colombie-Britannique', 'bc'],
    ['Île-du-Prince-Édouard', 'pe'],
    ['ile du prince edouard', 'pe'],
    ['Nouvelle-Écosse', 'ns'],
    ['Newfoundland & Labrador', 'nl'],
    ['Terre-Neuve-et-Labrador', 'nl'],
    ['CA-ON', 'on'],
    ['New South Wales', 'nsw'],
    ['NSW', 'nsw'],
    ['Western Australia', 'wa'],
    ['DE-BY', 'by'],
    ['GB-ENG', 'eng'],
    ['FR-75C', '75c'],
    ['JP-13', '13'],
    ['13', '13'],
    [13, '13'],
    ['NA', 'na'],
  ])
})

t.test('other names are dropped', async (t) => {
  checkTable(t, 'st', [
    ['Bayern', '(unreadable)'],
    ['Baja California', '(unreadable)'],
    ['Île-de-France', '(unreadable)'],
    ['東京都', '(unreadable)'],
    ['Ñu', '(unreadable)'],
    ['AT-9', '(unreadable)'],
    ['X', '(unreadable)'],
    ['Al-Ain', '(unreadable)'],
    ['California, US', '(unreadable)'],
    ['California'.repeat(20), '(unreadable)'],
    ['none', '(placeholder)'],
    ['n/a', '(placeholder)'],
    ['N.A.', '(placeholder)'],
    ['(null)', '(placeholder)'],
    ['na.n', '(placeholder)'],
  ])
})

t.test('a name means the state only in its own country', async (t) => {
  checkTable(t, 'st', [['Georgia', 'ga']], { country: 'us' })
  checkTable(t, 'st', [['Georgia', '(unreadable)']], { country: 'ge' })
  checkTable(t, 'st', [['Puerto Rico', 'pr']], { country: 'pr' })
  checkTable(t, 'st', [['Ontario', '(unreadable)']], { country: 'us' })
  checkTable(t, 'st', [['Ontario', 'on']], { country: 'ca' })
  checkTable(t, 'st', [['Victoria', 'vic']], { country: 'au' })
  checkTable(t, 'st', [['Victoria', '(unreadable)']], { country: 'ca' })
  checkTable(t, 'st', [['US-California', 'ca']], { country: 'us' })
  checkTable(t, 'st', [['by', 'by']], { country: 'de' })
  checkTable(t, 'st', [['de-by', 'by']], { country: 'de' })
  checkTable(t, 'st', [['al-ain', '(unreadable)']], { country: 'ae' })
  checkTable(t, 'st', [['DE-BY', '(unreadable)']], { country: 'us' })
})

t.test('the lists of the United States, Canada and Australia are closed', async (t) => {
  const known: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    us: [
      ['tx', 'tx'], ['Tex.', 'tx'], ['TEX', 'tx'], ['Tenn', 'tn'], ['CALIF.', 'ca'], ['Cal', 'ca'], ['Penna.', 'pa'],
      ['W. Va.', 'wv'], ['N. Dak.', 'nd'], ['No. Carolina', 'nc'], ['S. Carolina', 'sc'], ['N.Mex.', 'nm'], ['Wisc', 'wi'],
      ['State of New York', 'ny'], ['Washington State', 'wa'], ['Commonwealth of Virginia', 'va'], ['Hawai‘i', 'hi'],
      ['US_TX', 'tx'], ['US:TX', 'tx'], ['US–TX', 'tx'], ['US TX', 'tx'], ['us-texas', 'tx'], ['D.C.', 'dc'], ['PR', 'pr'], ['US-PR', 'pr'],
      ['Armed Forces Pacific', 'ap'], ['Armed Forces (AE)', 'ae'], ['armed forces americas', 'aa'], ['Armed Forces Middle East', 'ae'],
      ['AE', 'ae'], ['UM', 'um'],
    ],
    pr: [['PR', 'pr'], ['US-PR', 'pr'], ['Fla.', 'fl']],
    ca: [
      ['Alta.', 'ab'], ['Sask', 'sk'], ['Man.', 'mb'], ['Nfld', 'nl'], ['NF', 'nl'], ['P.E.I.', 'pe'], ['PQ', 'qc'], ['Que', 'qc'],
      ['N.W.T.', 'nt'], ['YK', 'yt'], ['C.-B.', 'bc'], ['Î.-P.-É.', 'pe'], ['Province de Québec', 'qc'], ['CA:ON', 'on'], ['Ont', 'on'], ['Ñu', 'nu'],
    ],
    au: [['N.S.W.', 'nsw'], ['Vic.', 'vic'], ["Q'land", 'qld'], ['S.A.', 'sa'], ['South Aust.', 'sa'], ['Tasm.', 'tas'], ['AU-ACT', 'act']],
  } // prettier-ignore
  for (const [country, rows] of Object.entries(known)) checkTable(t, 'st', rows, { country })
  const wrong = [
    'XX',
    'ZZ',
    'NA',
    'N/A',
    'US',
    'USA',
    'CAN',
    'AUS',
    'QQ',
    '12',
    'BY',
    'GB-ENG',
    'England',
    'JP13',
    'abc',
    'AF',
    'Cali',
    '-',
    '99',
  ]
  for (const country of ['us', 'pr', 'ca', 'au']) {
    for (const typed of wrong) {
      const found = normalizeField(FIELDS.st, typed, regionWith({ country }))
      t.equal(found.status, 'dropped', `${typed} in ${country}`)
    }
  }
  checkTable(t, 'st', [['BC', '(unreadable)'], ['NSW', '(unreadable)']], { country: 'us' }) // prettier-ignore
  checkTable(t, 'st', [['TX', '(unreadable)'], ['US-TX', '(unreadable)']], { country: 'ca' }) // prettier-ignore
})

t.test('a label of code and name means the state if both agree', async (t) => {
  checkTable(t, 'st', [['Texas (TX)', 'tx'], ['TX - Texas', 'tx'], ['TX: Texas', 'tx'], ['Texas (OK)', '(unreadable)'], ['Austin (TX)', '(unreadable)']], { country: 'us' }) // prettier-ignore
})

t.test('whatever is typed, nothing but the country’s own codes comes out', async () => {
  const codes: Readonly<Record<string, RegExp>> = {
    us: /^(?:a[aeklprsz]|c[aot]|d[ce]|f[lm]|g[au]|hi|i[adln]|k[sy]|la|m[adehinopst]|n[cdehjmvy]|o[hkr]|p[arw]|ri|s[cd]|t[nx]|u[mt]|v[ait]|w[aivy])$/,
    ca: /^(?:ab|bc|mb|nb|nl|ns|nt|nu|on|pe|qc|sk|yt)$/,
    au: /^(?:act|nsw|nt|qld|sa|tas|vic|wa)$/,
  }
  const typed = fc.oneof(anyText({ maxLength: 4 }), fc.stringMatching(/^[A-Za-z]{1,3}[.-]?[A-Za-z0-9]{0,3}$/))
  fc.assert(
    fc.property(fc.constantFrom('us', 'ca', 'au'), typed, (country, text) => {
      const found = normalizeField(FIELDS.st, text, regionWith({ country }))
      return found.status !== 'read' || codes[country]!.test(found.value)
    }),
  )
})

t.test('without a country abbreviations count that are no code elsewhere', async (t) => {
  checkTable(t, 'st', [
    ['Calif.', 'ca'],
    ['Cal.', 'ca'],
    ['CAL', 'cal'],
    ['Fla', 'fl'],
    ['Ont', 'on'],
    ['Que.', 'qc'],
    ['QUE', 'que'],
    ['PEI', 'pe'],
    ['PQ', 'qc'],
    ['NWT', 'nt'],
    ['Nfld.', 'nl'],
    ['CN1', '(unreadable)'],
    ['75C', '75c'],
  ])
  checkTable(t, 'st', [['CN1', '(unreadable)'], ['CN-11', '11'], ['11', '11']], { country: 'cn' }) // prettier-ignore
  checkTable(t, 'st', [['JP13', '(unreadable)'], ['JP-13', '13']], { country: 'jp' }) // prettier-ignore
  checkTable(t, 'st', [['NA', 'na'], ['IT-NA', 'na']], { country: 'it' }) // prettier-ignore
})
