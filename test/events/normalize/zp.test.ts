import t from 'tap'
import { checkTable, type Row } from './table.ts'

t.test('ZIP codes are five digits', async (t) => {
  const rows: readonly Row[] = [
    ['94107-1234', '94107'],
    ['94107', '94107'],
    [94_107, '94107'],
    ['94107 1234', '94107'],
    ['94107–1234', '94107'],
    ['94107 - 1234', '94107'],
    ['941071234', '94107'],
    [941_071_234, '94107'],
    ['2139', '02139'],
    [2139, '02139'],
    ['02139', '02139'],
    ['501', '00501'],
    ['2139-1234', '02139'],
    ['21391234', '02139'],
    ['5011234', '00501'],
    ['９４１０７', '94107'],
    ['94', '(unreadable)'],
    ['941071', '(unreadable)'],
    ['94107-12', '(unreadable)'],
    ['9410712345', '(unreadable)'],
    ['CA 94107', '(unreadable)'],
    ['SW1A 1AA', '(unreadable)'],
    ['94107.5', '(unreadable)'],
  ]
  for (const country of ['us', 'pr', 'gu', 'vi', 'as', 'mp']) checkTable(t, 'zp', rows, { country })
})

t.test('elsewhere letters and digits stay', async (t) => {
  checkTable(t, 'zp', [['SW1A 1AA', 'sw1a1aa']], { country: 'gb' })
  checkTable(t, 'zp', [['sw1a-1aa', 'sw1a1aa']], { country: 'gb' })
  checkTable(t, 'zp', [['1012 AB', '1012ab']], { country: 'nl' })
  checkTable(t, 'zp', [['K1A 0B1', 'k1a0b1']], { country: 'ca' })
  checkTable(t, 'zp', [['01310-100', '01310100']], { country: 'br' })
  checkTable(t, 'zp', [['〒100-0001', '1000001']], { country: 'jp' })
  checkTable(t, 'zp', [['１００－０００１', '1000001'], ['１００ー０００１', '1000001'], ['100ｰ0001', '1000001']], { country: 'jp' }) // prettier-ignore
  checkTable(t, 'zp', [['01067', '01067']], { country: 'de' })
  checkTable(t, 'zp', [['1067', '1067']], { country: 'de' })
  checkTable(t, 'zp', [['12345-6789', '123456789']], { country: 'sa' })
  checkTable(t, 'zp', [['110 00', '11000']], { country: 'cz' })
  checkTable(t, 'zp', [['۱۱۳۶۹۱۴۴۱۱', '1136914411']], { country: 'ir' })
})

t.test('a postcode that went through a spreadsheet as a number has no fraction', async (t) => {
  checkTable(t, 'zp', [['02139.0', '02139'], ['2139.00', '02139'], ['94107.5', '(unreadable)'], ['0000.0', '(placeholder)']], { country: 'us' }) // prettier-ignore
  checkTable(
    t,
    'zp',
    [
      ['10115.0', '10115'],
      ['75001.00', '75001'],
      ['1.0', '10'],
    ],
    { country: 'de' },
  )
  checkTable(t, 'zp', [['10115.0', '10115']])
})

t.test('without a country the shape of a full ZIP code is read as one', async (t) => {
  checkTable(t, 'zp', [
    ['94107', '94107'],
    ['94107-1234', '94107'],
    ['94107 1234', '94107'],
    ['2139', '2139'],
    ['SW1A 1AA', 'sw1a1aa'],
    ['01310-100', '01310100'],
  ])
})

t.test('nothing left, a placeholder or a novel is dropped', async (t) => {
  checkTable(t, 'zp', [
    ['---', '(unreadable)'],
    ['N-A', '(placeholder)'],
    ['null', '(placeholder)'],
    ['1'.repeat(33), '(unreadable)'],
  ])
})

t.test('the country’s own sign before a postcode goes', async (t) => {
  const rows = [
    ['de', 'D-04109', '04109'], ['de', 'D 04109', '04109'], ['de', 'D – 04109', '04109'], ['de', 'de-04109', '04109'],
    ['ch', 'CH-3000', '3000'], ['at', 'A–1010', '1010'], ['se', 'SE-411 04', '41104'], ['se', 'S-411 04', '41104'],
    ['fi', 'FIN-33100', '33100'], ['lv', 'LV 1010', '1010'], ['lt', 'LT-44280', '44280'], ['lu', 'L-2010', '2010'],
    ['be', 'B-9000', '9000'], ['fr', 'F-69001', '69001'], ['it', 'I-20121', '20121'], ['es', 'E-28013', '28013'], ['nl', 'NL-1012 AB', '1012ab'],
    ['pl', 'PL 00-950', '00950'], ['si', 'SLO-1000', '1000'],
    ['ad', 'AD500', 'ad500'], ['de', 'A-1010', 'a1010'], ['de', 'D04109', 'd04109'], ['gb', 'GB-SW1A 1AA', 'gbsw1a1aa'],
    ['gb', 'E1 6AN', 'e16an'], ['ca', 'C1A 4P3', 'c1a4p3'], ['gb', 'S1 2HE', 's12he'],
  ] as const // prettier-ignore
  for (const [country, typed, expected] of rows) checkTable(t, 'zp', [[typed, expected]], { country })
})

t.test('a sign that is part of the country’s postcodes stays, however it is set apart', async (t) => {
  const rows = [
    ['ad', ['AD500', 'AD 500', 'AD-500', 'ad500'], 'ad500'], ['ky', ['KY1-1100', 'KY 1-1100'], 'ky11100'], ['az', ['AZ1000', 'AZ 1000'], 'az1000'],
    ['vg', ['VG1110', 'VG 1110'], 'vg1110'], ['ai', ['AI-2640', 'AI 2640'], 'ai2640'], ['je', ['JE2 3AB', 'JE 2 3AB'], 'je23ab'],
  ] as const // prettier-ignore
  for (const [country, typed, expected] of rows) {
    checkTable(t, 'zp', typed.map((one): Row => [one, expected]), { country }) // prettier-ignore
  }
  checkTable(t, 'zp', [['AND-500', '500']], { country: 'ad' })
})

t.test('CEDEX and what follows is no part of a postcode', async (t) => {
  const typed = [
    '75008 CEDEX',
    '75008 Cedex 08',
    '75008CEDEX08',
    '75008, CEDEX',
    '75 008 cedex 16 SP',
    'F-75008 CEDEX 2',
  ]
  checkTable(t, 'zp', typed.map((one): Row => [one, '75008']), { country: 'fr' }) // prettier-ignore
  checkTable(t, 'zp', [['75008 CEDEX 08', '75008'], ['CEDEX', 'cedex']]) // prettier-ignore
})

t.test('zeros alone are no postcode, and a spreadsheet’s quote goes', async (t) => {
  for (const country of ['us', 'de', 'ae', undefined]) {
    checkTable(t, 'zp', [['00000', '(placeholder)'], ['00000-0000', '(placeholder)'], ["'01067", '01067']], { country }) // prettier-ignore
  }
  checkTable(t, 'zp', [['0000', '(placeholder)'], ['’02139', '02139'], ["'2139", '02139']], { country: 'us' }) // prettier-ignore
  checkTable(t, 'zp', [["'1234-5678'", '12345678']], { country: 'jp' })
})
