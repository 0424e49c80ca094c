import { inspect } from 'node:util'
import t from 'tap'
import { CURRENCY_NUMBERS } from '../../src/events/coerce/currency.ts'
import { AppInfoSchema, DeviceInfoSchema } from '../../src/events/schema.ts'
import { prepareWith } from './raw-events.ts'

/** Puts a value at a path such as `custom_data.contents[0].quantity` and says what became of it. */
function at(path: string, value: unknown) {
  const [head = '', key = ''] = path.split('.')
  const fields = path.startsWith('custom_data.contents[0].')
    ? { custom_data: { contents: [{ id: 'a', [path.split('.')[2]!]: value }] } }
    : key === ''
      ? { [head]: value }
      : { [head]: { [key]: value } }
  const outcome = prepareWith(fields)
  if (outcome.status === 'invalid')
    return { invalid: outcome.reason, path: outcome.path, warnings: outcome.warnings }
  const inner = outcome.event as { [key: string]: unknown } & {
    custom_data?: { contents?: Record<string, unknown>[] }
  }
  const parent = path.startsWith('custom_data.contents[0].')
    ? inner.custom_data?.contents?.[0]
    : ((key === '' ? inner : inner[head]) as Record<string, unknown> | undefined)
  return { value: parent?.[path.split('.').at(-1)!], warnings: outcome.warnings }
}

const MONEY = ['custom_data.value', 'custom_data.predicted_ltv', 'custom_data.contents[0].item_price']
const COUNTS = ['custom_data.num_items', 'custom_data.contents[0].quantity']

t.test('money becomes plain decimal text', async (t) => {
  const rows: [value: unknown, text: string][] = [
    [72.39, '72.39'],
    ['72.39', '72.39'],
    [' 72.390 ', '72.390'],
    [0, '0'],
    ['0', '0'],
    [-0, '0'],
    ['-0.00', '0.00'],
    [-12.5, '-12.5'],
    ['-12.5', '-12.5'],
    ['+5', '5'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['1e3', '1000'],
    [1e21, '1000000000000000000000'],
    [1.5e21, '1500000000000000000000'],
    [-1.25e25, '-12500000000000000000000000'],
    [1e-7, '0.0000001'],
    [-1.5e-7, '-0.00000015'],
    [0.1 + 0.2, '0.30000000000000004'],
    [2 ** 53 + 2, '9007199254740994'],
  ]
  for (const path of MONEY) {
    for (const [value, text] of rows)
      t.same(at(path, value), { value: text, warnings: [] }, `${path} ${String(value)}`)
  }
})

t.test('money and counts that are no numbers make the event invalid, and are not guessed at', async (t) => {
  const rows = [
    'abc', 'null', '72,39', '1,234.56', '1.234,56', '1 234', '$72.39', '72.39 USD', '0x10', '1e', '--1', 'NaN', 'Infinity', '1e400',
    '١٢', '1'.repeat(500), true, false, {}, [], [1], NaN, Infinity, -Infinity, '\ud800',
  ] // prettier-ignore
  for (const path of [...MONEY, ...COUNTS]) {
    for (const value of rows)
      t.match(at(path, value), { invalid: 'not_a_number', path }, `${path} ${inspect(value)}`)
  }
})

t.test('a few letters never become hundreds of digits', async (t) => {
  for (const path of MONEY) {
    t.match(at(path, 1e30).value, /^10{30}$/, 'as far as any currency goes')
    for (const value of [1e31, 1e308, 1e-31, 5e-324, '1e308', '1e-300']) {
      t.match(at(path, value), { invalid: 'not_a_number', path }, `${path} ${value}`)
    }
  }
  t.match(at('custom_data.order_id', 5e-324), { warnings: ['out_of_range'] })
})

t.test('counts become integers; a number that is none is left out', async (t) => {
  const rows: [value: unknown, expected: number | undefined][] = [
    [3, 3],
    ['3', 3],
    [' 3 ', 3],
    ['3.0', 3],
    [0, 0],
    ['0', 0],
    [-2, -2],
    ['1e2', 100],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2.5, undefined],
    ['2.5', undefined],
    [2 ** 53, undefined],
    [1e300, undefined],
  ]
  for (const path of COUNTS) {
    for (const [value, expected] of rows) {
      const warnings = expected === undefined ? [`${path}: out_of_range`] : []
      t.same(at(path, value), { value: expected, warnings }, `${path} ${String(value)}`)
    }
  }
  t.ok(Object.is(at('custom_data.num_items', '-0').value, 0))
})

t.test(
  'every currency of the runtime is read by its code, and the numbers are those of its codes',
  async (t) => {
    const codes = Intl.supportedValuesOf('currency')
    for (const code of codes) t.equal(at('custom_data.currency', code.toLowerCase()).value, code)
    t.same(
      [...CURRENCY_NUMBERS.values()].filter((code) => !codes.includes(code)),
      [],
    )
    for (const number of CURRENCY_NUMBERS.keys()) t.match(number, /^\d{3}$/)
    t.ok(CURRENCY_NUMBERS.size > 150)
  },
)

t.test('currency: a code or number of ISO 4217, or none', async (t) => {
  t.same(at('custom_data.currency', ' usd '), { value: 'USD', warnings: [] })
  t.same(at('custom_data.currency', ''), { value: undefined, warnings: [] })
  for (const value of [
    'US',
    'USDT',
    'GBp',
    '"GBp"',
    'GBX',
    'ZAc',
    '€',
    'R$',
    'US Dollar',
    'ınr',
    'NAN',
    'XXX',
    'ZZZ',
    'DEM',
    '999',
    '8400',
    'undefined',
    true,
    {},
    ['EUR', 'USD'],
  ]) {
    t.same(at('custom_data.currency', value), {
      value: undefined,
      warnings: ['custom_data.currency: unreadable'],
    })
  }
  const euros = [
    'EUR',
    'eur',
    978,
    '978',
    ['EUR'],
    { 0: 'EUR' },
    ['EUR', null],
    '["EUR"]',
    '"EUR"',
    'EUR\u200b',
    ' Eur ',
  ]
  for (const value of euros)
    t.same(at('custom_data.currency', value), { value: 'EUR', warnings: [] }, inspect(value))
  for (const value of [36, '36', '036']) t.equal(at('custom_data.currency', value).value, 'AUD')
  for (const value of ['', ' ', '\u200b', [], [null]])
    t.same(at('custom_data.currency', value), { value: undefined, warnings: [] })
})

t.test('flags', async (t) => {
  for (const value of [true, 'true', ' TRUE ', 1, '1'])
    t.same(at('wifi', value), { value: true, warnings: [] })
  for (const value of [false, 'False', 0, '0', -0]) t.same(at('wifi', value), { value: false, warnings: [] })
  t.same(at('opt_out', 'True'), { value: true, warnings: [] })
  t.same(at('opt_out', ''), { value: undefined, warnings: [] })
  for (const value of ['yes', 2, {}, [true]])
    t.same(at('wifi', value), { value: undefined, warnings: ['wifi: wrong_type'] })
})

t.test('a privacy choice that cannot be read makes the event invalid', async (t) => {
  for (const value of ['yes', 2, {}, [true]])
    t.match(at('opt_out', value), { invalid: 'unreadable_opt_out', path: 'opt_out' })
  for (const value of [true, ['LDP'], {}, '\ud800']) {
    t.match(at('custom_data.opt_out_type', value), {
      invalid: 'unreadable_opt_out',
      path: 'custom_data.opt_out_type',
    })
  }
})

t.test('text is trimmed; numbers become text while they are exact; the rest is left out', async (t) => {
  for (const path of [
    'app_id',
    'custom_data.order_id',
    'custom_data.contents[0].item_name',
    'app_info.app_version',
  ]) {
    t.same(at(path, ' a '), { value: 'a', warnings: [] })
    t.same(at(path, ' '), { value: undefined, warnings: [] })
    t.same(at(path, 7.9), { value: '7.9', warnings: [] })
    if (path !== 'custom_data.order_id') t.same(at(path, -0), { value: '0', warnings: [] })
    t.same(at(path, 2 ** 53), { value: undefined, warnings: [`${path}: out_of_range`] })
    for (const value of [true, {}, ['a'], '\ud800', NaN]) {
      t.same(at(path, value), { value: undefined, warnings: [`${path}: wrong_type`] })
    }
  }
})

t.test('lists take one value as well, and lose only what is wrong', async (t) => {
  const path = 'custom_data.content_ids'
  t.same(at(path, 'a'), { value: ['a'], warnings: [] })
  t.same(at(path, 17), { value: ['17'], warnings: [] })
  t.same(at(path, []), { value: undefined, warnings: [] })
  t.same(at(path, ['a', null, 2, {}, '\ud800']), {
    value: ['a', '2'],
    warnings: [`${path}[3]: wrong_type`, `${path}[4]: wrong_type`],
  })
  const contents = 'custom_data.contents'
  t.same(at(contents, { id: 1 }), { value: [{ id: '1' }], warnings: [] })
  t.same(at(contents, [{ id: 'a' }, 'b', [], {}]), {
    value: [{ id: 'a' }],
    warnings: [`${contents}[1]: wrong_type`],
  })
  t.match(at(contents, [{}, { item_price: 'x' }]), {
    invalid: 'not_a_number',
    path: `${contents}[1].item_price`,
  })
})

t.test('an object that is none is left out; an empty array is how PHP writes an empty object', async (t) => {
  for (const path of ['custom_data', 'app_info', 'device_info']) {
    for (const value of ['x', 1, true, [1]])
      t.same(at(path, value), { value: undefined, warnings: [`${path}: wrong_type`] })
    for (const value of [[], {}, '', ' ', '{}', '[]', [{}]]) {
      t.same(at(path, value), { value: undefined, warnings: [] })
    }
  }
})

t.test('an object also comes as its JSON, or in a list of one', async (t) => {
  const np = { np: 'x' }
  for (const value of [JSON.stringify(np), [np], JSON.stringify([np]), [JSON.stringify(np)]]) {
    t.same(at('custom_data', value), { value: np, warnings: [] }, inspect(value))
  }
  const content = [{ id: 'A' }]
  for (const value of ['{"id":"A"}', ['{"id":"A"}'], [content], '[{"id":"A"}]']) {
    t.same(at('custom_data.contents', value), { value: content, warnings: [] }, inspect(value))
  }
  for (const value of ['{"np":"x"', '{np:x}', `{"np":"${'x'.repeat(40_000)}"}`]) {
    t.same(at('custom_data', value), { value: undefined, warnings: ['custom_data: wrong_type'] })
  }
})

t.test('external_measurement_vendor_id is an integer, or left out', async (t) => {
  const path = 'custom_data.external_measurement_vendor_id'
  t.same(at(path, '1'), { value: 1, warnings: [] })
  t.same(at(path, 'x'), { value: undefined, warnings: [`${path}: wrong_type`] })
  t.same(at(path, 1.5), { value: undefined, warnings: [`${path}: out_of_range`] })
})

t.test('app_info and device_info keep to their bounds', async (t) => {
  const objects: [string, Record<string, object>][] = [
    ['app_info', AppInfoSchema.properties],
    ['device_info', DeviceInfoSchema.properties],
  ]
  for (const [name, properties] of objects) {
    for (const [key, schema] of Object.entries<{ maximum?: number; maxLength?: number; enum?: string[] }>(
      properties,
    )) {
      const path = `${name}.${key}`
      const tooLong = { value: undefined, warnings: [`${path}: too_long`] }
      const outOfRange = { value: undefined, warnings: [`${path}: out_of_range`] }
      if (schema.maxLength !== undefined) {
        t.same(at(path, 'x'.repeat(schema.maxLength)), { value: 'x'.repeat(schema.maxLength), warnings: [] })
        t.same(at(path, 'x'.repeat(schema.maxLength + 1)), tooLong)
      } else if (schema.enum !== undefined) {
        for (const word of schema.enum)
          t.same(at(path, ` ${word.toUpperCase()}`), { value: word, warnings: [] })
        t.same(at(path, 'phablet'), outOfRange)
      } else if (schema.maximum !== undefined && key !== 'install_time') {
        t.same(at(path, schema.maximum), { value: schema.maximum, warnings: [] })
        t.same(at(path, schema.maximum + 1), outOfRange)
        t.same(at(path, 0), { value: 0, warnings: [] })
        t.same(at(path, '-1'), outOfRange)
        t.same(at(path, 0.5), outOfRange)
      }
    }
  }
  const languages = Array.from({ length: 101 }, (_, index) => `l${index}`)
  t.same(at('device_info.languages', languages), {
    value: languages.slice(0, 100),
    warnings: ['device_info.languages: too_many_values'],
  })
})

t.test('install_time is read like event_time, but costs only itself', async (t) => {
  const path = 'app_info.install_time'
  t.same(at(path, 1_739_222_269), { value: 1_739_222_269, warnings: [] })
  t.same(at(path, '1739222269000'), { value: 1_739_222_269, warnings: [`${path}: event_time_converted`] })
  t.same(at(path, '2025-02-10'), { value: undefined, warnings: [`${path}: wrong_type`] })
  t.same(at(path, -1), { value: undefined, warnings: [`${path}: wrong_type`] })
  t.same(at(path, 1_739_222_269_000_000), { value: undefined, warnings: [`${path}: wrong_type`] })
})

t.test('blank numbers say nothing', async (t) => {
  const paths = [
    ...MONEY,
    ...COUNTS,
    'custom_data.external_measurement_vendor_id',
    'app_info.window_height',
    'app_info.install_time',
    'device_info.cpu_cores',
  ]
  for (const path of paths) {
    for (const blank of ['', ' ', '\t\n', '\u00a0', '\u200b', '\ufeff ']) {
      t.match(at(path, blank), { value: undefined, warnings: [] }, `${path} ${inspect(blank)}`)
    }
  }
})

t.test('an e-mail address in the query of the page is left out, and nothing else of it', async (t) => {
  const page = 'https://shop.example/@brand/thanks'
  for (const [query, kept] of [
    ['?email=jane%40example.com&step=3', '?email=&step=3'],
    ['?step=3&email=jane@example.com', '?step=3&email='],
    ['?jane@example.com', '?'],
    ['?jane@example.com=1&a=2', '?&a=2'],
    ['?a=1#user=jane@example.com', '?a=1#user='],
    ['?next=https%3A%2F%2Fshop.example%2F%3Fe%3Djane%2540example.com&a=1', '?next=&a=1'],
    ['?e=jane@example.com&amp;a=1', '?e=&a=1'],
    ['?e=jane%40example%2Ecom&a=1', '?e=&a=1'],
    ['?next=%3Fe%3Djane%2540example%252ecom&a=1', '?next=&a=1'],
    ['?e=@shop,jane@example.com', '?e='],
    ['?e=%40shop,jane%40example.com', '?e='],
  ] as const)
    t.same(at('event_source_url', page + query), {
      value: page + kept,
      warnings: ['event_source_url: raw_email'],
    })
  t.equal(at('event_source_url', `${page}${'?'.repeat(10_000)}e=jane@example.com`).value, page)
  for (const query of ['', '?q=@brand', '?q=a@b', '?epik=dj0abc&x=1.5', '?q=%40brand.x', '?a=1&b'])
    t.same(at('event_source_url', page + query), { value: page + query, warnings: [] })
})

t.test('a search for an e-mail address is left out', async (t) => {
  const path = 'custom_data.search_string'
  for (const value of [
    'jane@example.com',
    'order of Jane@example.com',
    'jane&#64;example.com',
    'jane%2540example.com',
    'ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ',
  ])
    t.same(at(path, value), { value: undefined, warnings: [`${path}: raw_email`] }, value)
  for (const value of ['shirt @brand.', '@brand.example', 'a @ b.c', 'a@b', '%40brand.example'])
    t.same(at(path, value), { value, warnings: [] }, value)
})

t.test(
  'HTML entities are decoded in names, searches and the address of the page, and not in ids',
  async (t) => {
    const decoded = ['content_name', 'content_category', 'content_brand', 'search_string'].map(
      (key) => `custom_data.${key}`,
    )
    const inContents = ['item_name', 'item_category', 'item_brand'].map(
      (key) => `custom_data.contents[0].${key}`,
    )
    for (const path of [...decoded, ...inContents]) {
      t.same(
        at(path, 'Fish &amp; Chips &#8211; caf&eacute;'),
        { value: 'Fish & Chips – café', warnings: [] },
        path,
      )
      t.same(at(path, '&amp;amp;'), { value: '&amp;', warnings: [] }, path)
      t.same(at(path, '&nbsp;'), { value: undefined, warnings: [] }, path)
    }
    const url = 'https://shop.example/?a=1&#038;b=2&amp;copy=3&reg=4'
    t.same(at('event_source_url', url).value, 'https://shop.example/?a=1&b=2&copy=3&reg=4')
    t.same(at('custom_data.order_id', 'A&amp;1').value, 'A&amp;1')
  },
)

t.test('lists come as PHP’s objects of numbered keys, and as the JSON text of a list', async (t) => {
  const ids = { value: ['A', 'B'], warnings: [] }
  for (const value of [{ 0: 'A', 1: 'B' }, { 3: 'A', 7: 'B' }, '["A","B"]', ' ["A", "B"] '.trim()]) {
    t.same(at('custom_data.content_ids', value), ids, inspect(value))
  }
  const contents = [{ id: 'A', quantity: 2 }, { id: 'B' }]
  for (const value of [
    { 1: contents[0], 2: contents[1] },
    JSON.stringify(contents),
    [contents[0], null, contents[1]],
  ]) {
    t.same(at('custom_data.contents', value), { value: contents, warnings: [] }, inspect(value))
  }
  t.same(at('device_info.languages', { 0: 'en', 1: 'de' }).value, ['en', 'de'])
  t.same(at('custom_data.content_ids', '[1,2').value, ['[1,2'])
  t.same(at('custom_data.content_ids', '[sku]').value, ['[sku]'])
  t.same(at('custom_data.content_ids', { a: 'A' }), { value: undefined, warnings: ['custom_data.content_ids: wrong_type'] }) // prettier-ignore
  t.same(at('custom_data.content_ids', '[]'), { value: undefined, warnings: [] })
  const deep = '['.repeat(16_000) + ']'.repeat(16_000)
  t.same(at('custom_data.content_ids', deep), { value: undefined, warnings: ['custom_data.content_ids[0]: wrong_type'] }) // prettier-ignore
})
