import { inspect } from 'node:util'
import t from 'tap'
import { Compile } from 'typebox/schema'
import { prepareEvent } from '../../src/events/prepare.ts'
import { EventSchema } from '../../src/events/schema.ts'
import { FULL, HOUR_S, LIVE, look, NOW_MS, NOW_S, PLAIN, prepareWith, SEED, TEST } from './raw-events.ts'

const strict = Compile(EventSchema)

t.test('an event with every field passes whole and without a warning', async (t) => {
  const { status, event, warnings } = look(prepareEvent(FULL, LIVE)) as {
    status: string
    event: object
    warnings: []
  }
  t.equal(status, 'prepared')
  t.same(warnings, [])
  t.ok(strict.Check(event))
  t.same(Object.keys(event).sort(), Object.keys(FULL).sort())
  const { user_data: userData, ...rest } = FULL
  t.match(event, rest)
  t.same(Object.keys((event as typeof FULL).user_data).sort(), Object.keys(userData).sort())
})

t.test('the example request of Pinterest passes as a test event', async (t) => {
  const prepared = prepareEvent(SEED, TEST)
  t.match(prepared, {
    status: 'prepared',
    eventName: 'checkout',
    eventId: 'eventId0001',
    eventTimeS: 1_451_431_341,
  })
  t.same(look(prepared).warnings, ['event_time: late_event'])
  t.match(look(prepared), { event: withoutNulls(SEED) })
  t.notMatch(prepared, { json: 'null' })
  t.match(prepareEvent(SEED, LIVE), { status: 'invalid', reason: 'too_old', path: 'event_time' })
})

t.test('the JSON has its keys in one order, whatever the order they came in', async (t) => {
  const reversed = Object.fromEntries(Object.entries(FULL).reverse())
  t.equal(
    (prepareEvent(reversed, LIVE) as { json: string }).json,
    (prepareEvent(FULL, LIVE) as { json: string }).json,
  )
})

t.test('JSON in a text may be nested as deeply as it likes', async (t) => {
  const deep = '['.repeat(16_000) + ']'.repeat(16_000)
  for (const field of ['custom_data', 'app_info', 'device_info'])
    t.same(prepareWith({ [field]: deep }).warnings, [`${field}: wrong_type`])
  t.same(prepareWith({ custom_data: { contents: deep } }).warnings, ['custom_data.contents[0]: wrong_type'])
  t.match(prepareWith({ custom_data: '[1, {"a": ["opt_out"]}]' }), { reason: 'unreadable_opt_out' })
})

t.test('what is no object is invalid', async (t) => {
  for (const raw of [null, undefined, 1, 'x', true, [1], [PLAIN], () => 1]) {
    t.match(prepareEvent(raw, LIVE), { status: 'invalid', reason: 'not_an_object', path: '' })
  }
  t.match(prepareWith({ user_data: 'x' }), { reason: 'not_an_object', path: 'user_data' })
  t.match(prepareWith({ user_data: ['a@b.example'] }), { reason: 'not_an_object', path: 'user_data' })
})

t.test('required fields: absent or null, the event is invalid, and the field is named', async (t) => {
  for (const path of Object.keys(PLAIN)) {
    t.match(prepareWith({ [path]: null }), {
      status: 'invalid',
      reason: 'missing_field',
      path,
      message: `${path}: is missing`,
    })
    const { [path]: _, ...rest } = PLAIN as Record<string, unknown>
    t.match(prepareEvent(rest, LIVE), { status: 'invalid', reason: 'missing_field', path })
  }
})

t.test('nulls are absent, at every level and under unknown keys too', async (t) => {
  const { event, warnings } = prepareWith({
    custom_data: { value: null, content_ids: [null], contents: [null, { id: null }] },
    app_info: { app_id: null },
    device_info: null,
    unheard_of: null,
  }) as unknown as { event: object; warnings: string[] }
  t.same(Object.keys(event), Object.keys(PLAIN))
  t.same(warnings, [])
})

t.test('unknown keys are dropped with a warning, at every level', async (t) => {
  const deep = JSON.parse('['.repeat(1000) + ']'.repeat(1000)) as unknown
  const raw = JSON.parse(
    JSON.stringify({
      ...PLAIN,
      advertiser_tracking_enabled: true,
      user_data: { ...PLAIN.user_data, email: 'x' },
      custom_data: { category_name: 'x', contents: [{ id: 'a' }, { id: 'b', sku: deep }] },
      app_info: { bundle: 1 },
      device_info: { os: 'x' },
      constructor: 1,
    }).replace('"constructor"', '"person@example.com":1,"__proto__"'),
  ) as unknown
  const { event, warnings } = look(prepareEvent(raw, LIVE)) as { event: object; warnings: string[] }
  t.ok(strict.Check(event))
  t.same(warnings.sort(), [
    '(unnamed): unknown_field',
    '__proto__: unknown_field',
    'advertiser_tracking_enabled: unknown_field',
    'app_info.bundle: unknown_field',
    'custom_data.category_name: unknown_field',
    'custom_data.contents[1].sku: unknown_field',
    'device_info.os: unknown_field',
    'user_data.email: unknown_field',
  ])
})

t.test('of several reasons, the first is kept', async (t) => {
  const wrong = { custom_data: { value: 'x', num_items: 'y' }, opt_out: 'z' }
  t.match(prepareWith(wrong), { reason: 'not_a_number', path: 'custom_data.value' })
})

t.test('an event has at most a few dozen warnings', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`key_${index}`, 1]))
  const { warnings } = prepareWith(many)
  t.equal(warnings.length, 33)
  t.equal(warnings.at(-1), 'event: more_warnings')
})

t.test('event_time: seconds, milliseconds and ISO 8601 become whole seconds', async (t) => {
  const converted = ['event_time: event_time_converted']
  const rows: [value: unknown, warnings: string[]][] = [
    [NOW_S, []],
    [String(NOW_S), []],
    [` ${NOW_S} `, []],
    [NOW_S + 0.9, converted],
    [NOW_MS, converted],
    [NOW_MS + 999, converted],
    [String(NOW_MS), converted],
    ['2026-01-15T12:00:00Z', converted],
    ['2026-01-15T12:00Z', converted],
    ['2026-01-15t12:00:00.999z', converted],
    ['2026-01-15 14:00:00,5+02:00', converted],
    ['2026-01-15T07:00:00 -0500', converted],
    ['20260115T120000Z', converted],
    ['2026-01-15T17:30:00+05:30', converted],
    ['2026-01-15T12:00:00+00', converted],
  ]
  for (const [value, warnings] of rows) {
    const prepared = prepareWith({ event_time: value })
    t.match(prepared, { event: { event_time: NOW_S } }, String(value))
    t.same(prepared.warnings, warnings, String(value))
  }
})

t.test('event_time: anything else is invalid, not guessed at', async (t) => {
  const rows = [
    '', 'now', '2026-01-15', '2026-01-15T12:00:00', '2026-02-30T12:00:00Z', '2026-13-01T12:00:00Z', '2026-01-15T24:00:00Z',
    '2026-01-15T12:60:00Z', '2026-01-15T12:00:00+24:00', '01/15/2026', 'Thu, 15 Jan 2026 12:00:00 GMT', true, {}, [NOW_S],
    -1, '-1', NaN, Infinity, '1'.repeat(500), '1969-12-31T23:59:59Z',
  ] // prettier-ignore
  for (const value of rows) {
    const prepared = prepareWith({ event_time: value })
    if (value === '') t.match(prepared, { status: 'invalid', path: 'event_time' })
    else t.match(prepared, { reason: 'unreadable_time', path: 'event_time' }, inspect(value))
  }
})

t.test('event_time: the edges of early, late and too old', async (t) => {
  const rows: [ageS: number, isTest: boolean, expected: object][] = [
    [-HOUR_S, false, { status: 'prepared', warnings: [] }],
    [-HOUR_S - 1, false, { reason: 'future_event', path: 'event_time' }],
    [-HOUR_S - 1, true, { reason: 'future_event', path: 'event_time' }],
    [HOUR_S, false, { status: 'prepared', warnings: [] }],
    [HOUR_S + 1, false, { status: 'prepared', warnings: ['event_time: late_event'] }],
    [HOUR_S + 1, true, { status: 'prepared', warnings: ['event_time: late_event'] }],
    [168 * HOUR_S, false, { status: 'prepared', warnings: ['event_time: late_event'] }],
    [
      168 * HOUR_S + 1,
      false,
      { reason: 'too_old', message: 'event_time: must not be more than 168 hours in the past' },
    ],
    [168 * HOUR_S + 1, true, { status: 'prepared', warnings: ['event_time: late_event'] }],
    [NOW_S, true, { status: 'prepared', event: { event_time: 0 } }],
  ]
  for (const [ageS, isTest, expected] of rows) {
    const prepared = prepareWith({ event_time: NOW_S - ageS }, isTest ? TEST : LIVE)
    t.match(prepared, expected, `${ageS} s, ${isTest ? 'test' : 'live'}`)
    if ('warnings' in expected) t.same(prepared.warnings, expected.warnings)
  }
})

t.test('event_id: text or a safe number; derived from the order if missing', async (t) => {
  const derived = ['event_id: event_id_derived']
  const rows: [fields: object, expected: string | object, warnings?: string[]][] = [
    [{ event_id: ' a b ' }, 'a b'],
    [{ event_id: 17 }, '17'],
    [{ event_id: 0, custom_data: { order_id: 7 } }, 'order-checkout-7', derived],
    [{ event_id: null, custom_data: { order_id: 'A1' } }, 'order-checkout-A1', derived],
    [{ event_id: ' ', custom_data: { order_id: 1001 } }, 'order-checkout-1001', derived],
    [{ event_id: null, event_name: 'refund', custom_data: { order_id: 'A1' } }, 'order-refund-A1'],
    [
      { event_id: null, custom_data: { order_id: {} } },
      { reason: 'missing_field', path: 'event_id' },
    ],
    [{ event_id: ' ' }, { reason: 'missing_field', path: 'event_id' }],
    [
      { event_id: null, custom_data: { order_id: 'x'.repeat(600) } },
      { reason: 'unusable_text', path: 'event_id' },
    ],
    [{ event_id: 'x'.repeat(512) }, 'x'.repeat(512)],
    [{ event_id: 'x'.repeat(513) }, { reason: 'unusable_text', path: 'event_id' }],
    [
      { event_id: 2 ** 53, custom_data: { order_id: 1 } },
      {
        reason: 'unusable_text',
        path: 'event_id',
        message: 'event_id: must be text, since a number beyond 2^53 loses digits in JSON',
      },
    ],
    [{ event_id: 'a\u0000' }, { reason: 'unusable_text', path: 'event_id' }],
    [{ event_id: '\ud800' }, { reason: 'unusable_text', path: 'event_id' }],
    [{ event_id: ['x'] }, { reason: 'unusable_text', path: 'event_id' }],
    [{ event_id: true }, { reason: 'missing_field', path: 'event_id' }],
  ]
  for (const [fields, expected, warnings] of rows) {
    const prepared = prepareWith(fields)
    if (typeof expected === 'string')
      t.equal((prepared as { event: { event_id: string } }).event.event_id, expected)
    else t.match(prepared, expected)
    if (warnings !== undefined) t.same(prepared.warnings, warnings)
  }
})

t.test('event_name: any text, with a warning if Pinterest does not list it', async (t) => {
  const known = prepareWith({ event_name: ' start_trial ' })
  t.match(known, { event: { event_name: /^start_trial$/ } })
  t.same(known.warnings, [])
  const own = prepareWith({ event_name: 'Café visit' })
  t.match(own, { event: { event_name: 'Café visit' } })
  t.same(own.warnings, ['event_name: unknown_event_name'])
  for (const value of ['\ud800', 'a\nb', 5, true, {}, 'x'.repeat(129)]) {
    t.match(prepareWith({ event_name: value }), { reason: 'unusable_text', path: 'event_name' })
  }
  for (const value of [5, ['x'], {}])
    t.match(prepareWith({ event_name: value }), { message: 'event_name: must be text' })
  t.match(prepareWith({ event_name: ' ' }), { reason: 'missing_field', path: 'event_name' })
})

t.test('action_source: one of four, whatever its case', async (t) => {
  t.match(prepareWith({ action_source: ' Web ' }), { event: { action_source: /^web$/ } })
  t.match(prepareWith({ action_source: 'APP_IOS' }), { event: { action_source: /^app_ios$/ } })
  for (const value of ['website', 'toString', 1, {}, ['web'], '\ud800']) {
    t.match(prepareWith({ action_source: value }), { reason: 'unknown_action_source', path: 'action_source' })
  }
})

t.test('without any identifier of the customer, the reason says what was dropped and why', async (t) => {
  t.match(prepareWith({ user_data: {} }), {
    reason: 'no_identifier',
    message: 'user_data: needs em, or hashed_maids, or client_ip_address together with client_user_agent',
  })
  const { message } = prepareWith({
    user_data: {
      em: ['not-an-email'],
      client_ip_address: '10.0.0.1',
      client_user_agent: 'UA',
      mail: 'x',
      ph: '4155552671',
    },
  }) as { message: string }
  t.match(message, 'user_data.em[0]: unreadable')
  t.match(message, 'user_data.client_ip_address: not_public')
  t.match(message, 'user_data.mail: unknown_field')
  const enough = [
    { em: 'a@b.example' },
    { hashed_maids: 'a0a0a0a0-1111-4222-8333-444444444444' },
    { client_ip_address: '216.3.128.12', client_user_agent: 'UA' },
  ]
  for (const data of enough) t.match(prepareWith({ user_data: data }), { status: 'prepared' })
  t.match(prepareWith({ user_data: { client_ip_address: '216.3.128.12', ph: '4155552671' } }), {
    reason: 'no_identifier',
  })
})

t.test('click_id: taken from the address of the page if there is none', async (t) => {
  const rows: [url: unknown, own: unknown, expected: string | undefined][] = [
    ['https://shop.example/?epik=abc', null, 'abc'],
    ['https://shop.example/p?a=1&epik=dj0y%3D+x#epik=no', null, 'dj0y=+x'],
    ['https://shop.example/?epik=abc', 'own', 'own'],
    ['https://shop.example/?epik=abc', ' ', 'abc'],
    ['https://shop.example/?epik=abc', 'null', 'abc'],
    ['https://shop.example/?epik=', null, undefined],
    ['https://shop.example/?notepik=abc', null, undefined],
    ['https://shop.example/#?epik=abc', null, undefined],
    ['https://shop.example/?epik=%', null, undefined],
    ['https://shop.example/?epik=%ff', null, undefined],
    ['not a url?epik=abc', null, undefined],
    [`https://shop.example/?epik=abc&x=${'x'.repeat(9000)}`, null, undefined],
    [7, null, undefined],
  ]
  for (const [url, own, expected] of rows) {
    const { event } = prepareWith({
      event_source_url: url,
      user_data: { em: 'a@b.example', click_id: own },
    }) as {
      event: { user_data: { click_id?: string } }
    }
    t.equal(event.user_data.click_id, expected, String(url).slice(0, 60))
  }
  t.same(prepareWith({ event_source_url: 'https://shop.example/?epik=null' }).warnings, [
    'user_data.click_id: placeholder',
  ])
})

function withoutNulls(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, inner: unknown) => inner ?? undefined))
}

t.test('events of bots are filtered where the account wants that, and sent where it does not', async (t) => {
  const rows: [string, 'prepared' | 'filtered'][] = [
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'filtered'],
    ['curl/8.5.0', 'filtered'],
    ['axios/1.6.0', 'filtered'],
    ['WordPress/6.4.2; https://shop.example', 'filtered'],
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
      'prepared',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile [Pinterest/iOS]',
      'prepared',
    ],
  ]
  const event = (client_user_agent?: string) => ({
    user_data: { ...PLAIN.user_data, ...(client_user_agent && { client_user_agent }) },
  })
  for (const [agent, status] of rows) {
    const filtering = prepareWith(event(agent), { ...LIVE, bots: 'filter' })
    t.equal(filtering.status, status, agent)
    const warnings = status === 'filtered' ? ['user_data.client_user_agent: bot_user_agent'] : []
    t.same(filtering.warnings, warnings)
    t.match(prepareWith(event(agent)), { status: 'prepared', warnings }, 'bots: send')
  }
  t.equal(prepareWith(event(), { ...LIVE, bots: 'filter' }).status, 'prepared', 'no user agent')
  const spoiled = { ...event('curl/8.5.0'), action_source: 'telepathy' }
  t.equal(prepareWith(spoiled, { ...LIVE, bots: 'filter' }).status, 'invalid', 'invalid comes first')
})

t.test(
  'money without a readable currency makes the event invalid; without money the currency is left out',
  async (t) => {
    const money = [
      { value: 10 },
      { value: '0' },
      { predicted_ltv: 5 },
      { contents: [{ id: 'A' }, { item_price: '1' }] },
    ]
    for (const currency of [
      '¥',
      'US Dollar',
      'undefined',
      'NaN',
      'XXX',
      '{{currency}}',
      ['EUR', 'USD'],
      true,
      {},
    ]) {
      for (const fields of money) {
        const invalid = prepareWith({ custom_data: { ...fields, currency } })
        t.match(invalid, { reason: 'unreadable_currency', path: 'custom_data.currency' }, inspect(currency))
      }
      const { warnings } = prepareWith({ custom_data: { num_items: 2, currency } })
      t.same(warnings, ['custom_data.currency: unreadable'], inspect(currency))
    }
    for (const currency of [null, '', ' ', []]) t.match(prepareWith({ custom_data: { value: 1, currency } }), { status: 'prepared', warnings: [] }) // prettier-ignore
  },
)

t.test('click_id: found in an address that was escaped for HTML', async (t) => {
  for (const separator of ['&amp;', '&#038;', '&#38;', '&#x26;']) {
    const { event } = prepareWith({
      event_source_url: `https://shop.example/?a=1${separator}epik=dj0abc`,
    }) as unknown as {
      event: { user_data: { click_id?: string } }
    }
    t.equal(event.user_data.click_id, 'dj0abc', separator)
  }
})
