import t from 'tap'

import { createSandbox } from '../../sandbox/sandbox.ts'
import { ACCOUNT, HASH, makeEvent, post } from './post.ts'

const sandbox = await createSandbox()
t.teardown(() => sandbox.close())

const userData = (changes: object) => makeEvent({ user_data: { em: [HASH], ...changes } })
const customData = (changes: object) => makeEvent({ custom_data: changes })
const content = (changes: object) => customData({ contents: [changes] })
const appInfo = (changes: object) => makeEvent({ app_info: changes })
const deviceInfo = (changes: object) => makeEvent({ device_info: changes })
const without = (key: string) => {
  const { [key]: _, ...rest } = makeEvent()
  return rest
}

await t.test('an event is processed', async (t) => {
  const full = makeEvent({
    event_source_url: 'https://shop.example/thanks',
    opt_out: false,
    partner_name: 'ss-example',
    app_id: '1',
    app_name: 'Shop',
    app_version: '7.9',
    device_brand: 'Apple',
    device_carrier: 'T-Mobile',
    device_model: 'iPhone',
    device_type: 'phone',
    os_version: '18.3',
    wifi: true,
    language: 'en',
    user_data: {
      em: [HASH],
      hashed_maids: [HASH],
      ph: [HASH],
      ge: [HASH],
      db: [HASH],
      ln: [HASH],
      fn: [HASH],
      ct: [HASH],
      st: [HASH],
      zp: [HASH],
      country: [HASH],
      external_id: [HASH, HASH.toUpperCase()],
      client_ip_address: '203.0.113.7',
      client_user_agent: 'Mozilla/5.0',
      click_id: 'dj0yJnU9',
      partner_id: 'XY',
    },
    custom_data: {
      currency: 'USD',
      value: '72.39',
      content_ids: ['red-pillow'],
      content_name: 'pillows',
      content_category: 'home',
      content_brand: 'brand',
      contents: [
        { id: 'p', item_price: '1.5', quantity: 2, item_name: 'n', item_category: 'c', item_brand: 'b' },
      ],
      num_items: 2,
      order_id: 'o1',
      search_string: 'sofa',
      opt_out_type: 'LDP',
      np: 'ss-example',
      predicted_ltv: '1',
      external_measurement_id: 'x',
      external_measurement_vendor_id: 3,
    },
    app_info: {
      app_id: '1',
      app_name: 'a',
      app_package_name: 'com.shop',
      app_store: 's',
      app_version: '1',
      install_time: 0,
      user_agent: 'u',
      window_height: 30_720,
      window_width: 0,
    },
    device_info: {
      battery_level: 100,
      brand: 'b',
      carrier: 'c',
      cpu_cores: 1152,
      external_storage_free_space: 1,
      external_storage_size: 1,
      form_factor: 'tv',
      kernel_version: '6.15',
      languages: ['en'],
      locale: 'en-US',
      model: 'm',
      network_type: 'wifi',
      os_family: 'ios',
      os_name: 'n',
      os_release_name: 'Dawn',
      os_version: '18.3',
      screen_density: 1,
      screen_height: 1,
      screen_width: 1,
      storage_free_space: 1,
      storage_size: 1_048_576,
      timezone: 'Europe/Berlin',
      timezone_abbr: 'CEST',
      type: 't',
    },
  })
  const rows: Record<string, object> = {
    'with what is required': makeEvent(),
    'with every field that exists': full,
    'known by its advertising id': makeEvent({ user_data: { hashed_maids: [HASH] } }),
    'known by address and user agent': makeEvent({
      user_data: { client_ip_address: '203.0.113.7', client_user_agent: 'Mozilla' },
    }),
    'with an unknown key in user_data': userData({ nickname: 'x' }),
    'with an event name of the advertiser': makeEvent({ event_name: 'sign_for_batch' }),
    'with null where null is allowed': makeEvent({
      event_source_url: null,
      partner_name: null,
      app_id: null,
      language: null,
      user_data: { em: [HASH], click_id: null, partner_id: null },
      custom_data: { value: null, currency: null, order_id: null, external_measurement_vendor_id: null },
    }),
    'from each action source (app_ios)': makeEvent({ action_source: 'app_ios' }),
    'from each action source (app_android)': makeEvent({ action_source: 'app_android' }),
    'from each action source (offline)': makeEvent({ action_source: 'offline' }),
  }
  for (const [name, event] of Object.entries(rows)) {
    await t.test(name, async (t) => {
      const { status, body } = await post(sandbox, { body: { data: [event] } })
      t.equal(status, 200, body.message ?? '')
      t.strictSame(body, {
        num_events_received: 1,
        num_events_processed: 1,
        events: [{ status: 'processed', error_message: '', warning_message: '' }],
      })
    })
  }
})

await t.test('one event costs the whole call a 400', async (t) => {
  const unexpected = (...keys: string[]) =>
    `Additional properties are not allowed (${keys.map((key) => `'${key}'`).join(', ')} ${keys.length === 1 ? 'was' : 'were'} unexpected)`
  const rows: readonly (readonly [name: string, event: unknown, message: string])[] = [
    ['unknown key', makeEvent({ category_name: 'x' }), unexpected('category_name')],
    [
      'many unknown keys',
      makeEvent(Object.fromEntries(Array.from({ length: 3 }, (_, index) => [`k${index}`, 1]))),
      unexpected('k0', 'k1', 'k2'),
    ],
    [
      'a key newer than the description',
      makeEvent({ advertiser_tracking_enabled: true }),
      unexpected('advertiser_tracking_enabled'),
    ],
    ['unknown key in custom_data', customData({ category_name: 'x' }), unexpected('category_name')],
    ['unknown key in contents', content({ sku: 'x' }), unexpected('sku')],
    ['unknown key in app_info', appInfo({ x: 1 }), unexpected('x')],
    ['unknown key in device_info', deviceInfo({ 'a/b~c': 1 }), unexpected('a/b~c')],
    ...['event_name', 'action_source', 'event_time', 'event_id', 'user_data'].map(
      (key) => [`no ${key}`, without(key), `'${key}' is a required property`] as const,
    ),
    ['event_name null', makeEvent({ event_name: null }), "None is not of type 'string'"],
    ['event_id a number', makeEvent({ event_id: 7 }), "7 is not of type 'string'"],
    ['action_source a number', makeEvent({ action_source: 7 }), "7 is not of type 'string'"],
    ['event_time text', makeEvent({ event_time: '1760000000' }), "'1760000000' is not of type 'integer'"],
    ['event_time a fraction', makeEvent({ event_time: 1.5 }), "1.5 is not of type 'integer'"],
    ['opt_out null', makeEvent({ opt_out: null }), "None is not of type 'boolean'"],
    ['opt_out text', makeEvent({ opt_out: 'true' }), "'true' is not of type 'boolean'"],
    ['wifi a number', makeEvent({ wifi: 1 }), "1 is not of type 'boolean'"],
    ['language a number', makeEvent({ language: 1 }), "1 is not of type 'string', 'null'"],
    ['custom_data null', makeEvent({ custom_data: null }), "None is not of type 'object'"],
    ['app_info null', makeEvent({ app_info: null }), "None is not of type 'object'"],
    ['device_info null', makeEvent({ device_info: null }), "None is not of type 'object'"],
    ['user_data null', makeEvent({ user_data: null }), "None is not of type 'object'"],
    ['user_data empty', makeEvent({ user_data: {} }), '{} is not valid under any of the given schemas'],
    [
      'an address without a user agent',
      makeEvent({ user_data: { client_ip_address: 'x' } }),
      'is not valid under any',
    ],
    [
      'a user agent without an address',
      makeEvent({ user_data: { client_user_agent: 'x' } }),
      'is not valid under any',
    ],
    ['only a phone number', makeEvent({ user_data: { ph: [HASH] } }), 'is not valid under any'],
    ['em as text', makeEvent({ user_data: { em: HASH } }), `'${HASH}' is not of type 'array'`],
    ['em null', makeEvent({ user_data: { em: null } }), "None is not of type 'array'"],
    ['null in em', makeEvent({ user_data: { em: [null] } }), "None is not of type 'string'"],
    ...['hashed_maids', 'ph', 'ge', 'db', 'ln', 'fn', 'ct', 'st', 'zp', 'country', 'external_id'].map(
      (key) => [`${key} as text`, userData({ [key]: HASH }), "is not of type 'array'"] as const,
    ),
    ['client_ip_address null', userData({ client_ip_address: null }), "None is not of type 'string'"],
    ['click_id a number', userData({ click_id: 1 }), "1 is not of type 'string', 'null'"],
    ['value a number', customData({ value: 72.39 }), "72.39 is not of type 'string', 'null'"],
    ['predicted_ltv a number', customData({ predicted_ltv: 1 }), "1 is not of type 'string', 'null'"],
    ['num_items text', customData({ num_items: '2' }), "'2' is not of type 'integer'"],
    ['num_items null', customData({ num_items: null }), "None is not of type 'integer'"],
    ['content_ids numbers', customData({ content_ids: [1] }), "1 is not of type 'string'"],
    ['contents null', customData({ contents: null }), "None is not of type 'array'"],
    ['item_price a number', content({ item_price: 1 }), "1 is not of type 'string'"],
    ['item_price null', content({ item_price: null }), "None is not of type 'string'"],
    ['quantity text', content({ quantity: '1' }), "'1' is not of type 'integer'"],
    ['app_id too long', appInfo({ app_id: 'x'.repeat(201) }), 'is too long'],
    ['install_time before the epoch', appInfo({ install_time: -1 }), '-1 is less than the minimum of 0'],
    ['window_height too large', appInfo({ window_height: 30_721 }), 'greater than the maximum of 30720'],
    ['battery_level over full', deviceInfo({ battery_level: 101 }), '101 is greater than the maximum of 100'],
    ['form_factor unknown', deviceInfo({ form_factor: 'toaster' }), "'toaster' is not one of ['desktop'"],
    ['network_type unknown', deviceInfo({ network_type: '5G' }), "'5G' is not one of"],
    ['os_family unknown', deviceInfo({ os_family: 'iOS' }), "'iOS' is not one of"],
    ['too many languages', deviceInfo({ languages: Array.from({ length: 101 }, () => 'en') }), 'is too long'],
    ['timezone_abbr too long', deviceInfo({ timezone_abbr: 'abcdef' }), "'abcdef' is too long"],
    ['not an object', 7, "7 is not of type 'object'"],
  ]
  for (const [name, event, message] of rows) {
    await t.test(name, async (t) => {
      sandbox.conversions.clear()
      const { status, body } = await post(sandbox, { body: { data: [makeEvent(), event] } })
      t.equal(status, 400)
      t.equal(body.code, 4196)
      t.ok(body.message?.includes(message), `${body.message} should say ${message}`)
      t.equal(sandbox.conversions.summary(ACCOUNT).recorded, 0, 'its neighbour is not recorded either')
    })
  }
})

await t.test('the envelope', async (t) => {
  const events = (length: number) =>
    Array.from({ length }, (_, index) => makeEvent({ event_id: `e${index}` }))
  const rows: readonly (readonly [name: string, body: unknown, status: number])[] = [
    ['1,000 events', { data: events(1000) }, 200],
    ['1,001 events', { data: events(1001) }, 400],
    ['no event', { data: [] }, 400],
    ['no data', {}, 400],
    ['data null', { data: null }, 400],
    ['data an object', { data: makeEvent() }, 400],
    ['a key beside data', { data: events(1), test: true }, 400],
    ['a list', [makeEvent()], 400],
    ['null', 'null', 400],
    ['not JSON', '{"data":', 400],
    ['nothing', new Uint8Array(), 400],
    [
      'not UTF-8',
      Buffer.from(JSON.stringify({ data: events(1) }).replace('checkout', '\u{e9}'), 'latin1'),
      400,
    ],
  ]
  for (const [name, body, status] of rows) {
    await t.test(name, async (t) => {
      const posted = await post(sandbox, { body })
      t.equal(posted.status, status, posted.body.message ?? '')
      t.equal(posted.body.code, status === 200 ? undefined : 4196)
    })
  }
})

await t.test('who and where', async (t) => {
  const allowed = { accessToken: 'pina_one', adAccountIds: [ACCOUNT] }
  const strict = await createSandbox({ tokens: [allowed, { accessToken: 'any' }], bodyLimitBytes: 10_000 })
  t.teardown(() => strict.close())
  const big = { data: [makeEvent({ event_id: 'x'.repeat(10_000) })] }
  const rows: readonly (readonly [
    name: string,
    changes: Parameters<typeof post>[1],
    status: number,
    code?: number,
  ])[] = [
    ['the token of the account', { token: 'pina_one' }, 200],
    ['a token for every account', { token: 'any' }, 200],
    ['an unknown token', { token: 'pina_two' }, 401, 2],
    ['no token', { token: null }, 401, 2],
    ['another scheme', { token: null, headers: { authorization: 'Basic pina_one' } }, 401, 2],
    ['the scheme in lower case', { token: null, headers: { authorization: 'bearer pina_one' } }, 200],
    ['an account that is not the token’s', { token: 'pina_one', adAccountId: '1' }, 403, 29],
    ['an id with a letter', { token: 'any', adAccountId: '12a' }, 400, 4196],
    ['an id of 18 digits', { token: 'any', adAccountId: '1'.repeat(18) }, 200],
    ['an id of 19 digits', { token: 'any', adAccountId: '1'.repeat(19) }, 400, 4196],
    ['no id', { token: 'any', adAccountId: '' }, 400, 4196],
    ['another method', { token: 'any', method: 'GET' }, 405, 12],
    ['another path', { token: 'any', adAccountId: '1/x' }, 404, 12],
    ['a charset', { token: 'any', headers: { 'content-type': 'application/json; charset=utf-8' } }, 200],
    ['text', { token: 'any', headers: { 'content-type': 'text/plain' } }, 415, 4196],
    ['gzip', { token: 'any', headers: { 'content-encoding': 'gzip' } }, 415, 4196],
    ['a body over the limit', { token: 'any', body: big }, 413, 4196],
    ...['true', 'True', '1', 'false', 'False', '0'].map(
      (word) => [`test=${word}`, { token: 'any', query: `?test=${word}` }, 200] as const,
    ),
    ['test=yes', { token: 'any', query: '?test=yes' }, 400, 4196],
  ]
  for (const [name, changes, status, code] of rows) {
    await t.test(name, async (t) => {
      const posted = await post(strict, changes)
      t.equal(posted.status, status, posted.body.message ?? '')
      t.equal(posted.body.code, code)
    })
  }
})

await t.test('what is wrong with one event is said of that event', async (t) => {
  sandbox.conversions.clear()
  const data = [
    makeEvent({ event_id: 'good' }),
    makeEvent({ event_id: 'raw-em', user_data: { em: [HASH, 'person@example.com'] } }),
    makeEvent({ event_id: 'raw-id', user_data: { em: [HASH], external_id: ['42'], fn: ['jo'] } }),
    makeEvent({ event_id: 'raw-maid', user_data: { em: [HASH], hashed_maids: ['x'] } }),
    makeEvent({ event_id: 'fax', action_source: 'fax' }),
    makeEvent({ event_id: 'short', user_data: { em: [HASH.slice(1)] } }),
    makeEvent({ event_id: 'no-hex', user_data: { em: [`${HASH.slice(1)}g`] } }),
  ]
  const { status, body } = await post(sandbox, { body: { data } })
  t.equal(status, 422)
  const unhashed = (field: string) => `'${field}' is not in sha256 hashed format`
  const failed = (message: string) => ({ status: 'failed', error_message: message, warning_message: '' })
  t.strictSame(body, {
    code: 953,
    message: 'Not all events were successfully processed.',
    details: {
      num_events_received: 7,
      num_events_processed: 2,
      events: [
        { status: 'processed', error_message: '', warning_message: '' },
        failed(unhashed('em')),
        {
          status: 'processed',
          error_message: '',
          warning_message: `${unhashed('fn')}; ${unhashed('external_id')}`,
        },
        failed(unhashed('hashed_maids')),
        failed("'fax' is not a valid action_source"),
        failed(unhashed('em')),
        failed(unhashed('em')),
      ],
    },
  })
  t.strictSame([...sandbox.conversions.counts(ACCOUNT).keys()], ['good', 'raw-id'])
})

await t.test('a warning alone leaves the answer a 200', async (t) => {
  const { status, body } = await post(sandbox, { body: { data: [userData({ ph: ['1'] })] } })
  t.equal(status, 200)
  t.equal(body.events?.[0]?.warning_message, "'ph' is not in sha256 hashed format")
})
