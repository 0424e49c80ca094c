import t from 'tap'
import { HASHED_FIELD_NAMES, TEXT_FIELD_NAMES } from '../../support/user-data-fields.ts'
import { regionOf } from '../../../src/events/user-data.ts'
import { context, hashesAlone, ignoresLooks, normalize, normalizesOnce } from './user-data.ts'

/** In CPU time, which other work of the machine does not change much; the collector's work is not there thrice. */
function takesLessThan(limitMs: number, work: () => unknown): boolean {
  return [1, 2, 3].some(() => {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000 < limitMs
  })
}

t.test('customer data is normalized, hashed and complete', async (t) => {
  const { data, warnings } = normalize({
    em: [' Person@Example.COM '],
    ph: '(415) 555-2671',
    ge: 'Female',
    db: '1990-03-07T00:00:00Z',
    fn: ['José'],
    ln: 'O’Connor',
    ct: ['St. Louis'],
    st: 'California',
    zp: ['94107-1234'],
    country: 'United States',
    external_id: ' Cust-00042 ',
    hashed_maids: ['38400000-8CF0-11BD-B23E-10B96E40000D'],
    client_ip_address: '203.0.113.7:51234',
    client_user_agent: ' Mozilla/5.0 ',
    click_id: 'dj0yJnU9',
    partner_id: null,
  })
  t.strictSame(warnings, [])
  // From sha256sum.
  t.strictSame(data, {
    em: ['542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345'],
    ph: ['758fbf68945f21c416814c539ab578876c8d98fb69e6da692def92cd52417fe0'],
    ge: ['252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111'],
    db: ['c3d027251d4c401cac8a836c65ef60d7bd316d022db7a35f61410a5c51245068'],
    ln: ['4f2ef4a6a43f26979bd89213257882df407ae215934cabfc9be3c69ba390a854'],
    fn: ['d994e1d001886fe5b45b1267bd1fa2b752ac50742579bd3dad7b2a2aa0ed6866'],
    ct: ['8ba24bdf99947996f3000259be455de791b06fcc0e802ce05031030df1ee8ea3'],
    st: ['6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126'],
    zp: ['c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead'],
    country: ['79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621'],
    external_id: ['7cae910e8bdec6280d376692ee0f182e52c571ae31bd43dae5e06baf31ca036d'],
    hashed_maids: ['d4181bb455a74b3bc8b37c75ac9b2c702eb6b9930bd040b861403b31ca85634d'],
    client_ip_address: '203.0.113.7',
    client_user_agent: 'Mozilla/5.0',
    click_id: 'dj0yJnU9',
  })
})

t.test(
  'the region is the event’s country, as text or hashed, or the account’s if it names none',
  async (t) => {
    // From sha256sum: us, de, gb.
    const us = '79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621'
    const zip = ['37ee873de5c1aa94b4bd802ad204de983c221f35fc2c0c28259232eb329f36bf']
    t.strictSame(normalize({ zp: '2139', country: 'USA' }, { accountCountry: 'de' }).data.zp, zip)
    t.strictSame(normalize({ zp: '2139', country: us }, { accountCountry: 'US' }).data.zp, zip)
    t.strictSame(normalize({ zp: '2139', country: us }, { accountCountry: 'de' }).data.zp, zip)
    t.strictSame(normalize({ zp: '2139', country: ['nowhere', null, 'us'] }).data.zp, zip)
    t.equal(regionOf({ country: ['nowhere', 'UK'] }, context).country, 'gb')
    t.equal(regionOf({}, { ...context, accountCountry: 'FR' }).country, 'fr')
    t.equal(regionOf({ country: us }, context).country, 'us')
    t.equal(regionOf({ country: us.toUpperCase() }, context).country, 'us')
    // DE from sha256sum, de in Base64.
    const german = '6814ef46f686990cf4e946f966167b0507e1d642c44e51f61bffb0bba2d4672b'
    t.equal(regionOf({ country: german }, { ...context, accountCountry: 'us' }).country, 'de')
    t.equal(regionOf({ country: 'lZpF1E5vz1g2HtAEaBVW/lASnyEJ6BfewJjADJ5dJXg=' }, context).country, 'de')
  },
)

t.test('an event that names a country which cannot be read has no region', async (t) => {
  const account = { ...context, accountCountry: 'us' }
  const unread = [
    'Freedonia',
    'Korea',
    'Paris, France',
    'ab'.repeat(32),
    ['Freedonia', null],
    true,
    'Cong\ufffd',
    '🇫🇷',
  ]
  for (const country of unread) t.equal(regionOf({ country }, account).country, undefined, String(country))
  const unnamed = [null, undefined, '', ' ', 'null', 'N/A', '{{address.country}}', [], [null], ['undefined']]
  for (const country of unnamed) t.equal(regionOf({ country }, account).country, 'us', String(country))
  const { data, warnings } = normalize({ country: 'Freedonia', ph: '4155552671' }, { accountCountry: 'us' })
  t.strictSame(data, normalize({ ph: '4155552671' }).data)
  t.same(warnings, ['user_data.ph: phone_without_country', 'user_data.country: unreadable'])
})

t.test('a list may come as PHP’s object of numbered keys, or as the JSON text of a list', async (t) => {
  const list = normalize({ em: ['a@shop.example', 'b@shop.example'], client_ip_address: ['203.0.113.7'] })
  const asObject = {
    em: { 2: 'a@shop.example', 5: 'b@shop.example' },
    client_ip_address: { 0: '203.0.113.7' },
  }
  t.strictSame(normalize(asObject), list)
  const asText = { em: ' ["a@shop.example","b@shop.example"]'.trim(), client_ip_address: '["203.0.113.7"] ' }
  t.strictSame(normalize(asText), list)
  t.strictSame(
    normalize({ zp: '2139', country: { 0: 'US' } }).data.zp,
    normalize({ zp: '02139', country: 'US' }).data.zp,
  )
  const none = { em: { a: 'a@shop.example' }, ph: {}, fn: { 0: 'Anna', x: 1 }, ln: '[Anna' }
  t.same(Object.keys(normalize(none).data), ['ln'])
})

t.test('doubles within a field go, raw and hashed alike', async (t) => {
  const hash = '542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345'
  const { data } = normalize({ em: ['person@example.com', 'PERSON@example.com', hash, hash.toUpperCase()] })
  t.strictSame(data.em, [hash])
})

t.test('nulls and empty arrays are absent', async (t) => {
  const raw = {
    em: null,
    ph: [null],
    fn: [],
    ln: undefined,
    client_ip_address: [],
    click_id: [null],
    extra: null,
  }
  t.strictSame(normalize(raw), { data: {}, warnings: [] })
})

t.test('a warning names the field, the index in an array, and a code', async (t) => {
  const raw = {
    em: ['person@example.com', null, 'nobody', true],
    ph: '5552671',
    ge: '',
    db: '03/07/1990',
    ln: { name: 'x' },
    client_ip_address: ['10.0.0.1'],
  }
  t.strictSame(normalize(raw).warnings, [
    'user_data.em[2]: unreadable',
    'user_data.em[3]: wrong_type',
    'user_data.ph: phone_without_country',
    'user_data.ge: placeholder',
    'user_data.db: ambiguous_date',
    'user_data.ln: wrong_type',
    'user_data.client_ip_address[0]: not_public',
  ])
})

t.test('a text field takes an array of one', async (t) => {
  t.strictSame(normalize({ click_id: ['abc'] }).data, { click_id: 'abc' })
  t.strictSame(normalize({ click_id: [null, 'abc'] }).data, { click_id: 'abc' })
  t.strictSame(normalize({ click_id: ['abc', 'def'] }), {
    data: {},
    warnings: ['user_data.click_id: too_many_values'],
  })
})

t.test('unknown keys are warned of, and shown only if they look like a field', async (t) => {
  const raw = { email: 'x', 'person@example.com': 1, [`k${'x'.repeat(100)}`]: 2, '': 3, constructor: 4 }
  t.strictSame(normalize(raw), {
    data: {},
    warnings: [
      'user_data.email: unknown_field',
      'user_data.(unnamed): unknown_field',
      'user_data.constructor: unknown_field',
    ],
  })
  t.strictSame(normalize(JSON.parse('{"__proto__": {"em": "a@b.com"}}') as Record<string, unknown>), {
    data: {},
    warnings: ['user_data.__proto__: unknown_field'],
  })
})

t.test('a flood of values, keys or letters is bounded', async (t) => {
  const emails = Array.from({ length: 1000 }, (_, index) => `person${index}@example.com`)
  const many = normalize({ em: emails })
  t.equal(many.data.em?.length, 20)
  t.strictSame(many.warnings, ['user_data.em: too_many_values'])

  const keys = normalize(Object.fromEntries(emails.map((_, index) => [`key${index}`, 1])))
  t.equal(keys.warnings.length, 33)
  t.equal(keys.warnings.at(-1), 'event: more_warnings')

  const long = 'x'.repeat(8 * 1024 * 1024)
  const raw = Object.fromEntries([...HASHED_FIELD_NAMES, ...TEXT_FIELD_NAMES].map((field) => [field, long]))
  const { data, warnings } = normalize(raw)
  t.ok(takesLessThan(20, () => normalize(raw)))
  t.strictSame(data, {})
  t.ok(warnings.every((warning) => warning.endsWith(': too_long')))
})

t.test('no text of the longest length takes long', async (t) => {
  const pieces = [
    ' ',
    '1',
    '(1)',
    '0',
    'a',
    'A-',
    '@',
    'a.',
    '.',
    ':',
    ',',
    '\u0301\u0345',
    '\u0085',
    '\u00a0x',
    '١',
    '😀',
  ]
  pieces.push(
    '+',
    ';a',
    'x1',
    '-',
    '1/',
    'T1',
    '[',
    '%',
    '1.1.1.1,',
    'İ',
    '〱',
    'ﷺ',
    '\u0345\u0334',
    "'",
    '„',
  )
  for (const piece of pieces) {
    for (const text of [piece.repeat(4096), `1${piece.repeat(4096)}`, `+${piece.repeat(4096)}!`]) {
      const value = text.slice(0, 4096)
      const fields = [...HASHED_FIELD_NAMES, ...TEXT_FIELD_NAMES]
      const raw = Object.fromEntries(fields.map((field) => [field, value]))
      // The usual is a millisecond. What tried each part of the text with each other would take far more.
      if (!takesLessThan(50, () => normalize(raw))) t.fail(JSON.stringify(piece))
    }
  }
})

t.test('nothing throws, and hashed fields hold hashes alone', async () => hashesAlone(100))

t.test('normalizing what was normalized changes nothing', async () => normalizesOnce(100))

t.test('case, invisible characters and white space at the ends do not matter', async () => ignoresLooks(100))

t.test('so many letters of an event are looked at, and no more', async (t) => {
  const city = (n: number) => `${'a'.repeat(4000)}${String.fromCharCode(97 + n)}`
  const em = Array.from({ length: 10 }, () => 'x'.repeat(4000))
  const full = normalize({
    em,
    ct: city(0),
    client_ip_address: '203.0.113.7',
    client_user_agent: 'a'.repeat(2000),
  })
  t.same(full.warnings.slice(8), [
    'user_data.em[8]: too_long',
    'user_data.em[9]: too_long',
    'user_data.ct: too_long',
    'user_data.client_user_agent: too_long',
  ])
  t.equal(full.data.client_ip_address, '203.0.113.7', 'what is short enough for the rest is read')
  const unread = normalize({ em: Array.from({ length: 20 }, () => 'x'.repeat(5000)), ct: city(0) })
  t.ok(unread.data.ct, 'what is too long by itself takes nothing from the others')
  const honest = Object.fromEntries(
    HASHED_FIELD_NAMES.map((field) => [field, Array.from({ length: 20 }, (_, n) => 'ab '.repeat(30) + n)]),
  )
  t.notMatch(normalize(honest).warnings.join(), 'too_long')
})
