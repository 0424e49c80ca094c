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
  checkTable(t, 'zp', [['１００－０００１', '1000001']], { country: 'jp' })
  checkTable(t, 'zp', [['D-10115', 'd10115']], { country: 'de' })
  checkTable(t, 'zp', [['01067', '01067']], { country: 'de' })
  checkTable(t, 'zp', [['1067', '1067']], { country: 'de' })
  checkTable(t, 'zp', [['12345-6789', '123456789']], { country: 'sa' })
  checkTable(t, 'zp', [['110 00', '11000']], { country: 'cz' })
  checkTable(t, 'zp', [['۱۱۳۶۹۱۴۴۱۱', '1136914411']], { country: 'ir' })
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
