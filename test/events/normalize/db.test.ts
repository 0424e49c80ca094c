import t from 'tap'
import { checkTable } from './table.ts'

t.test('a date that begins with the year is read as it is written', async (t) => {
  checkTable(t, 'db', [
    ['1990-03-07T00:00:00Z', '19900307'],
    ['1990-03-07', '19900307'],
    ['1990-03-07T23:59:59.999-11:00', '19900307'],
    ['1990-03-07T00:30+14:00', '19900307'],
    ['1990-03-07 00:00:00', '19900307'],
    ['1990-03-07 00:00:00 UTC', '19900307'],
    ['19900307', '19900307'],
    [19_900_307, '19900307'],
    ['19900307T000000Z', '19900307'],
    ['1990-3-7', '19900307'],
    ['1990/03/07', '19900307'],
    ['1990.03.07', '19900307'],
    ['1990. 03. 07.', '19900307'],
    ['2000-02-29', '20000229'],
    ['1900-01-01', '19000101'],
  ])
})

t.test(
  'full width, other dashes, spaces around the separators and the words of East Asia are read',
  async (t) => {
    checkTable(t, 'db', [
      ['１９９０－０３－０７', '19900307'],
      ['1990‑03–07', '19900307'],
      ['1990 / 03 / 07', '19900307'],
      ['31 / 03 / 1990', '19900331'],
      ['07 / 03 / 1990', '(ambiguous_date)'],
      ['1990年3月7日', '19900307'],
      ['1990년 3월 7일', '19900307'],
      ['1990年3月', '(unreadable)'],
    ])
  },
)

t.test('day and month with dots is day-month, whatever the account writes', async (t) => {
  for (const dobFormat of [undefined, 'DMY', 'MDY'] as const) {
    checkTable(
      t,
      'db',
      [
        ['07.03.1990', '19900307'],
        ['7.3.1990', '19900307'],
        ['7. 3. 1990', '19900307'],
        ['03.31.1990', '(unreadable)'],
      ],
      { dobFormat },
    )
  }
})

t.test('what can be read one way only is read so', async (t) => {
  for (const dobFormat of [undefined, 'DMY', 'MDY'] as const) {
    checkTable(
      t,
      'db',
      [
        ['31/03/1990', '19900331'],
        ['03/31/1990', '19900331'],
        ['31-3-1990', '19900331'],
        ['3-31-1990', '19900331'],
        ['07/07/1990', '19900707'],
        ['03/31/1990 12:00:00 AM', '19900331'],
        ['31/02/1990', '(unreadable)'],
        ['13/13/1990', '(unreadable)'],
      ],
      { dobFormat },
    )
  }
  // 12 May is past on 15 June 2025, 5 December is not.
  checkTable(t, 'db', [['05/12/2025', '20250512']])
})

t.test('what can be read both ways needs the account to say how it writes dates', async (t) => {
  checkTable(t, 'db', [['03/07/1990', '(ambiguous_date)']])
  checkTable(t, 'db', [['3-7-1990', '(ambiguous_date)']])
  checkTable(t, 'db', [['03/07/1990', '19900703']], { dobFormat: 'DMY' })
  checkTable(t, 'db', [['03/07/1990', '19900307']], { dobFormat: 'MDY' })
  checkTable(t, 'db', [['3-7-1990', '19900703']], { dobFormat: 'DMY' })
})

t.test('English month names are understood', async (t) => {
  const written = [
    'March 7, 1990',
    'Mar 7 1990',
    'MARCH 7TH, 1990',
    '7 March 1990',
    '7th of March, 1990',
    '07-Mar-1990',
    '7. Mar. 1990',
    '1990 March 7',
    '1990-Mar-07',
    'Wed Mar 07 1990',
    'Wednesday, 7 March 1990',
    'Wed Mar 07 1990 00:00:00 GMT+0100 (Central European Standard Time)',
    'Wed, 07 Mar 1990 00:00:00 GMT',
    'Mar 7, 1990, 12:00:00 AM',
  ]
  checkTable(
    t,
    'db',
    written.map((typed) => [typed, '19900307'] as const),
  )
  checkTable(t, 'db', [['Sept 1 1990', '19900901']])
})

t.test('no date is made up', async (t) => {
  const wrong = [
    '90-03-07',
    '07/03/90',
    'March 7, 90',
    '07031990',
    '1899-12-31',
    '2025-06-16',
    '1990-02-30',
    '1990-13-01',
    '1990-00-10',
    '1990-01-00',
    '2001-02-29',
    '1990-03/07',
    '0000-00-00',
    '00000000',
    '1990',
    '1990-03',
    'March 1990',
    '7 März 1990',
    '7 of 1990',
    '636768000',
    636_768_000_000,
    '1990-03-07x',
    '١٩٩٠-٠٣-٠٧',
    `1990-03-07 00:00 ${'x'.repeat(100)}`,
  ]
  checkTable(
    t,
    'db',
    wrong.map((typed) => [typed, '(unreadable)'] as const),
  )
  checkTable(t, 'db', [['2025-06-15', '20250615']])
  checkTable(t, 'db', [['1990-03-07', '(unreadable)']], { nowMs: NaN })
})
