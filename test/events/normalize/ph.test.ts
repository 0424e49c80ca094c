import t from 'tap'
import { FIELDS, normalizeField } from '../../../src/events/normalize/field.ts'
import { checkTable, regionWith } from './table.ts'

t.test('a number with + is international', async (t) => {
  checkTable(t, 'ph', [
    ['+14155552671', '14155552671'],
    ['+1 (415) 555-2671', '14155552671'],
    ['+1.415.555.2671', '14155552671'],
    ['+1,415,555,2671', '14155552671'],
    ['+49 30,90,18,20', '4930901820'],
    ['+44 (0)20 7946 0958', '442079460958'],
    ['(+44) 20 7946 0958', '442079460958'],
    ['+49 (0)30 901820', '4930901820'],
    ['+49 (0) 151 / 123 456 78', '4915112345678'],
    ['+39 06 698 12345', '390669812345'],
    ['+39 312 345 6789', '393123456789'],
    ['+33 (0)1 42 68 53 00', '33142685300'],
    ['+41 (0)44 668 18 00', '41446681800'],
    ['+36 (06) 1 235 3000', '3612353000'],
    ['+7 495 123-45-67', '74951234567'],
    ['+55 11 98765-4321', '5511987654321'],
    ['+52 55 1234 5678', '525512345678'],
    ['+54 9 11 2345-6789', '5491123456789'],
    ['+81 (0)90-1234-5678', '819012345678'],
    ['+86 138 0013 8000', '8613800138000'],
    ['+91-98765-43210', '919876543210'],
    ['+61 (0)412 345 678', '61412345678'],
    ['+800 1234 5678', '80012345678'],
    ['tel:+14155552671', '14155552671'],
    ['tel:+1-415-555-2671;ext=123', '14155552671'],
    ['DE +49 30 901820', '4930901820'],
    ['\u202a+1 415 555 2671\u202c', '14155552671'],
  ])
})

t.test('digits of every script are digits', async (t) => {
  checkTable(t, 'ph', [
    ['+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧', '966501234567'],
    ['+۹۸ ۹۱۲ ۱۲۳ ۴۵۶۷', '989121234567'],
    ['+९१ ९८७६५ ४३२१०', '919876543210'],
    ['＋８１ ９０ １２３４ ５６７８', '819012345678'],
  ])
  checkTable(t, 'ph', [['۰۹۱۲ ۱۲۳ ۴۵۶۷', '989121234567']], { country: 'ir' })
})

t.test('an impossible number with + is dropped, also where the account has a country', async (t) => {
  const wrong = ['+1 555', '+1 415 555 26711', '+0 20 7946 0958', '+999 123 4567', '+', '+()', '+49 1']
  for (const country of [undefined, 'us', 'de']) {
    const rows = wrong.map((typed) => [typed, '(unreadable)'] as const)
    checkTable(t, 'ph', rows, { country })
  }
})

t.test('national numbers are completed with the region', async (t) => {
  checkTable(
    t,
    'ph',
    [
      ['(415) 555-2671 x9', '14155552671'],
      ['415.555.2671', '14155552671'],
      [4_155_552_671, '14155552671'],
      ['1 (415) 555-2671', '14155552671'],
      [14_155_552_671, '14155552671'],
      ['011 44 20 7946 0958', '442079460958'],
      ['0044 20 7946 0958', '442079460958'],
      ['+44 20 7946 0958', '442079460958'],
      ['555-2671', '(unreadable)'],
      ['00', '(unreadable)'],
      ['911', '(unreadable)'],
    ],
    { country: 'us' },
  )
  checkTable(t, 'ph', [['1-604-555-2671', '16045552671']], { country: 'ca' })
  checkTable(t, 'ph', [['(787) 555-2671', '17875552671']], { country: 'pr' })
  checkTable(
    t,
    'ph',
    [
      ['020 7946 0958', '442079460958'],
      ['07911 123456', '447911123456'],
      ['44 (0)20 7946 0958', '442079460958'],
      ['447911123456', '447911123456'],
      ['7911123456', '447911123456'],
      ['00 33 1 42 68 53 00', '33142685300'],
    ],
    { country: 'gb' },
  )
  checkTable(
    t,
    'ph',
    [
      ['0151 12345678', '4915112345678'],
      ['030/901820', '4930901820'],
      ['0049 (0)30 901820', '4930901820'],
      ['49 151 12345678', '4915112345678'],
      ['Fax 030 901820', '4930901820'],
    ],
    { country: 'de' },
  )
  checkTable(t, 'ph', [['8 (495) 123-45-67', '74951234567']], { country: 'ru' })
  checkTable(t, 'ph', [['(11) 98765-4321', '5511987654321']], { country: 'br' })
  checkTable(t, 'ph', [['(011) 15-2345-6789', '5491123456789']], { country: 'ar' })
  checkTable(t, 'ph', [['090-1234-5678', '819012345678']], { country: 'jp' })
  checkTable(t, 'ph', [['0044 20 7946 0958', '442079460958']], { country: 'jp' })
})

t.test('Italy keeps its zero, and a mobile number that looks like a calling code is national', async (t) => {
  checkTable(
    t,
    'ph',
    [
      ['06 698 12345', '390669812345'],
      ['393 123 4567', '393931234567'],
      ['39 312 345 6789', '393123456789'],
      ['0039 06 698 12345', '390669812345'],
    ],
    { country: 'it' },
  )
  checkTable(t, 'ph', [['91987 65432', '919198765432']], { country: 'in' })
})

t.test('extensions go', async (t) => {
  const written = [
    'x9',
    ' x 123',
    ' ext. 123',
    ' Ext 123',
    ' extension 123',
    ' #123',
    ';ext=123',
    ' доб. 123',
  ]
  checkTable(
    t,
    'ph',
    written.map((extension) => [`+1 415 555 2671${extension}`, '14155552671'] as const),
  )
  checkTable(t, 'ph', [['+7 495 123-45-67 доб. 1234', '74951234567']])
})

t.test('a remark behind the number goes, vanity numbers are dropped', async (t) => {
  checkTable(
    t,
    'ph',
    [
      ['415 555 2671 (home)', '14155552671'],
      ['Phone # 415 555 2671', '14155552671'],
      ['1-800-FLOWERS', '(unreadable)'],
      ['+1 800 FLOWERS', '(unreadable)'],
      ['800-555-BOOK', '(unreadable)'],
      ['1-800-GO-FEDEX', '(unreadable)'],
      ['call me', '(unreadable)'],
    ],
    { country: 'us' },
  )
  // Four digits are a possible number in Germany.
  checkTable(t, 'ph', [['0800 1 PIZZA', '(unreadable)']], { country: 'de' })
  checkTable(t, 'ph', [['0180 5 BLUMEN 1', '(unreadable)']], { country: 'de' })
})

t.test(
  'digits of a label, or behind the number in brackets or after a comma, are no part of it',
  async (t) => {
    const remarks = [' (2. Stock)', ' (24/7)', ' (2)', ' (after 6pm)', ' (born 1990)', ',,12', ', Anna 2']
    const labels = ['1) ', '1. ', 'Handy 2: ', '(Home 2) ', 'WhatsApp2:']
    for (const [country, typed, expected] of [
      ['de', '0171 1234567', '491711234567'],
      ['de', '+49 (0) 151 / 123 456 78', '4915112345678'],
      ['us', '(415) 555-2671', '14155552671'],
      ['fr', '01 42 68 53 00', '33142685300'],
      ['jp', '090-1234-5678', '819012345678'],
      ['cl', '(2) 2123 4567', '56221234567'],
      ['sa', '٠٥١ ٢٣٤ ٥٦٧٨', '966512345678'],
    ] as const) {
      const written = [...remarks.map((remark) => typed + remark), ...labels.map((label) => label + typed)]
      checkTable(t, 'ph', written.map((one) => [one, expected] as const), { country }) // prettier-ignore
    }
    // Set apart in no such way, it may be a part of the number.
    for (const typed of [
      '0171 1234567 2. Stock',
      '0171 1234567 24h',
      'Tel1 0171 1234567',
      '1 +49 171 1234567',
      '030 12345 +49 30 12346',
      '0171 123 45 67 24h',
      '+4930901820,12',
      '030 901820, 10115',
      '030 901820; 030 901821',
      '030 901820 [2]',
      '030 901820\n21',
      '030 901820/21',
    ])
      // prettier-ignore
      checkTable(t, 'ph', [[typed, '(unreadable)']], { country: 'de' })
    for (const typed of [
      '0049 30 / 901820',
      '030/90/18/20',
      "030 90'18'20",
      '0049 30 90−18–20',
      '+49·30·90·18·20',
    ])
      checkTable(t, 'ph', [[typed, '4930901820']], { country: 'de' })
    checkTable(t, 'ph', [['0711 1234-0 Zentrale', '4971112340'], ['0711 1234-56 Büro', '49711123456']], { country: 'de' }) // prettier-ignore
    checkTable(t, 'ph', [['8 029 491-19-11', '375294911911']], { country: 'by' })
  },
)

t.test('digits behind letters are no part of the number, so that it is dropped', async (t) => {
  for (const typed of [
    '030 1234567 Durchwahl 12',
    '030 1234567 App. 12',
    '0171 l234567',
    '030 12345 oder 030 12346',
  ])
    checkTable(t, 'ph', [[typed, '(unreadable)']], { country: 'de' })
  checkTable(t, 'ph', [['(021) 5555 6666 转 12', '(unreadable)']], { country: 'cn' })
})

t.test('mobile numbers of Mexico are read as they were dialled until 2019, too', async (t) => {
  const former = [
    '+52 1 55 1234 5678',
    '0052 1 55 1234 5678',
    '5215512345678',
    '044 55 1234 5678',
    '01 55 1234 5678',
  ]
  checkTable(
    t,
    'ph',
    former.map((typed) => [typed, '525512345678'] as const),
    { country: 'mx' },
  )
  checkTable(t, 'ph', [['+5215512345678', '525512345678']], { country: 'us' })
  // Of the United States, without its `+`.
  checkTable(t, 'ph', [['1 415 555 2671', '(unreadable)']], { country: 'mx' })
})

t.test('without a country the digits are sent with a warning', async (t) => {
  checkTable(t, 'ph', [
    ['(415) 555-2671', '4155552671 (phone_without_country)'],
    ['020 7946 0958', '2079460958 (phone_without_country)'],
    ['0044 20 7946 0958', '442079460958'],
    ['00 999 1234567', '(unreadable)'],
    ['123456', '(unreadable)'],
    ['000123456', '(unreadable)'],
    ['1234567890123456', '(unreadable)'],
  ])
  checkTable(t, 'ph', [['(415) 555-2671', '4155552671 (phone_without_country)']], { country: 'aq' })
})

t.test('a long text is not read', async (t) => {
  checkTable(t, 'ph', [
    ['1'.repeat(33), '(unreadable)'],
    [`+${'(1)'.repeat(1000)}`, '(unreadable)'],
  ])
})

t.test('numbers that fill in a required field mean nothing', async (t) => {
  const rows: Readonly<Record<string, readonly string[]>> = {
    us: ['0000000000', '1111111111', '2222222222', '5555555555', '9999999999', '+1 000 000 0000', '+11111111111', '(123) 456-7890', '012-345-6789',
      '415-055-2671', '415-155-2671', '1-023-555-2671', '14150552671'],
    fr: ['0000000000', '1111111111', '00 00 00 00 00', '+33 000000000', '+33 6666666'],
    de: ['000000000', '111111111', '+49 1111111111'],
    gb: ['00000000000', '0000 000 0000', '+44 0000000000', '+440000000000', '11111111111'],
  } // prettier-ignore
  for (const [country, typed] of Object.entries(rows)) {
    for (const one of typed)
      t.equal(
        normalizeField(FIELDS.ph, one, regionWith({ country })).status,
        'dropped',
        `${one} in ${country}`,
      )
  }
  checkTable(t, 'ph', [['1111111', '(placeholder)'], ['999999999', '(placeholder)'], ['+1 415 055 2671', '(placeholder)'], ['0001111111', '(placeholder)']]) // prettier-ignore
  // Valid, though they look like it.
  checkTable(t, 'ph', [['888 888 8888', '18888888888']], { country: 'us' })
  checkTable(t, 'ph', [['9999999999', '919999999999'], ['+91 88888 88888', '918888888888']], { country: 'in' }) // prettier-ignore
  checkTable(t, 'ph', [['tel:+49-30-901820', '4930901820']])
})
