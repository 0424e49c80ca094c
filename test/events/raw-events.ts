/** Raw events as storefronts send them, and a context to prepare them in. */
import type { PrepareContext, Prepared } from '../../src/events/prepare.ts'
import { prepareEvent } from '../../src/events/prepare.ts'

export const NOW_MS = Date.UTC(2026, 0, 15, 12)
export const NOW_S = NOW_MS / 1000
export const HOUR_S = 3600

export const LIVE: PrepareContext = {
  nowMs: NOW_MS,
  accountCountry: 'US',
  dobFormat: undefined,
  maxEventAgeMs: 168 * HOUR_S * 1000,
  isTest: false,
  bots: 'send',
}
export const TEST: PrepareContext = { ...LIVE, isTest: true }

/** The least that can be sent. */
export const PLAIN = {
  event_name: 'checkout',
  action_source: 'web',
  event_time: NOW_S - 60,
  event_id: 'eventId0001',
  user_data: { em: ['person@example.com'] },
} as const

/** Every field that there is, each with a raw value that passes. */
export const FULL = {
  ...PLAIN,
  event_source_url: 'https://www.my-clothing-shop.org/',
  opt_out: false,
  partner_name: 'ss-partnername',
  user_data: {
    em: ['Person@Example.com', 'other@example.com'],
    ph: ['(415) 555-2671'],
    ge: 'f',
    db: '1990-03-07',
    ln: 'Doe',
    fn: 'Jane',
    ct: 'San Francisco',
    st: 'California',
    zp: '94107-1234',
    country: 'US',
    external_id: 'Cust-00042',
    hashed_maids: ['a0a0a0a0-1111-4222-8333-444444444444'],
    client_ip_address: '216.3.128.12',
    client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)',
    click_id: 'dj0yJnU9b2JDcFFHekV4SHJN',
    partner_id: 'BUJrTlRRzGJmWhRXFZdkioV6wKPBve7Lom',
  },
  custom_data: {
    currency: 'USD',
    value: '72.39',
    num_items: 5,
    order_id: 'my_order_id',
    content_ids: ['product-id-001', 'product-id-002'],
    contents: [
      {
        id: 'product-id-001',
        item_name: 'pinterest-shirt-girl',
        item_category: 'pinterest-clothing-shirts',
        item_brand: 'pinterest',
        item_price: '14.99',
        quantity: 3,
      },
      { id: 'product-id-002', item_price: '13.71', quantity: 2 },
    ],
    content_name: 'pinterest-themed-clothing',
    content_category: 'shirts',
    content_brand: 'pinterest-brand',
    search_string: 'sample string',
    predicted_ltv: '2794.82',
    opt_out_type: 'LDP',
    np: 'ss-company',
    external_measurement_id: 'rbos-cb7a9e56',
    external_measurement_vendor_id: 1,
  },
  app_id: '429047995',
  app_name: 'Pinterest',
  app_version: '7.9',
  device_brand: 'Apple',
  device_carrier: 'T-Mobile',
  device_model: 'iPhone X',
  device_type: 'iPhone',
  os_version: '12.1.4',
  wifi: true,
  language: 'en',
  app_info: {
    app_id: '429047995',
    app_name: 'MyAwesomeApp',
    app_package_name: 'com.company.myawesomeapp',
    app_store: 'Google Play Store',
    app_version: '7.9',
    install_time: 1_739_222_269,
    user_agent: 'Mozilla/5.0',
    window_height: 900,
    window_width: 1678,
  },
  device_info: {
    battery_level: 78,
    brand: 'Apple',
    carrier: 'T-Mobile',
    cpu_cores: 8,
    external_storage_free_space: 126,
    external_storage_size: 512,
    form_factor: 'cellphone',
    kernel_version: '6.15',
    languages: ['en', 'de', 'lt'],
    locale: 'en-us',
    model: '16 Pro',
    network_type: 'wifi',
    os_family: 'ios',
    os_name: '18',
    os_release_name: 'Dawn',
    os_version: '18.3',
    screen_density: 460,
    screen_height: 2868,
    screen_width: 1320,
    storage_free_space: 184,
    storage_size: 256,
    timezone: 'USA/New York',
    timezone_abbr: 'PDT',
    type: 'iPhone',
  },
} as const

/** The request of Pinterest's own documentation, with the explicit nulls of its Python client. */
export const SEED = {
  event_name: 'checkout',
  action_source: 'app_ios',
  event_time: 1_451_431_341,
  event_id: 'eventId0001',
  event_source_url: 'https://www.my-clothing-shop.org/',
  opt_out: false,
  partner_name: 'ss-partnername',
  user_data: {
    em: [
      '411e44ce1261728ffd2c0686e44e3fffe413c0e2c5adc498bc7da883d476b9c8',
      '09831ea51bd1b7b32a836683a00a9ccaf3d05f59499f42d9883412ed79289969',
    ],
    hashed_maids: ['0192518eb84137ccfe82c8b6322d29631dae7e28ed9d0f6dd5f245d73a58c5f1'],
    client_ip_address: '216.3.128.12',
    client_user_agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 12_1_4 like Mac OS X)',
    ph: ['45df139772a81b6011bdc1c9cc3d1cb408fc0b10ec0c5cb9d4d4e107f0ddc49d'],
    ge: null,
    db: null,
    ln: null,
    fn: null,
    ct: null,
    st: null,
    zp: null,
    country: null,
    external_id: null,
    click_id: null,
    partner_id: null,
  },
  custom_data: {
    currency: 'USD',
    value: '72.39',
    content_ids: ['red-pinterest-shirt-logo-1', 'purple-pinterest-shirt-logo-3'],
    content_name: null,
    content_category: null,
    content_brand: null,
    contents: [
      {
        id: 'red-pinterest-shirt-logo-1',
        item_name: 'red shirt',
        item_category: 'shirts',
        item_brand: 'pinterest',
        item_price: '1325.12',
        quantity: 5,
      },
    ],
    num_items: 2,
    order_id: 'my_order_id',
    search_string: null,
    opt_out_type: 'LDP',
    predicted_ltv: null,
    np: 'ss-company',
    external_measurement_id: null,
    external_measurement_vendor_id: null,
  },
  app_id: '429047995',
  app_name: 'Pinterest',
  app_version: '7.9',
  app_info: null,
  device_brand: 'Apple',
  device_carrier: 'T-Mobile',
  device_info: null,
  device_model: 'iPhone X',
  device_type: 'iPhone',
  os_version: '12.1.4',
  wifi: false,
  language: 'en',
} as const

/** What became of PLAIN with these fields on top: the JSON as parsed again, and the warnings as text. */
export function prepareWith(fields: object, context: PrepareContext = LIVE) {
  return look(prepareEvent(fromJson({ ...PLAIN, ...fields }), context))
}

export function look(prepared: Prepared) {
  const warnings = prepared.warnings.map(({ path, code }) => `${path}: ${code}`)
  return prepared.status === 'prepared'
    ? { status: prepared.status, event: JSON.parse(prepared.json) as Record<string, unknown>, warnings }
    : { ...prepared, warnings }
}

/** As it comes from a post, where there is no undefined; but NaN and the like stay what they are. */
function fromJson(value: object): unknown {
  return structuredClone(value)
}
