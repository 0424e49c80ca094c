/**
 * The event as Pinterest gets it, strictly: which keys there are, their types and bounds. Pinterest answers one unknown
 * key or one wrong type with a 400 for the whole call, so nothing else may leave the relay.
 *
 * Facts from release 5.23.0 of Pinterest's OpenAPI description; tighter where the relay itself sees to more (hashes,
 * decimals, no empty lists, no nulls). `coerce/object.ts` reads events by it.
 */
import { Type, type Static, type TProperties } from '../type.ts'

export type PreparedEvent = Static<typeof EventSchema>
export type UserData = Static<typeof UserDataSchema>
export type CustomData = Static<typeof CustomDataSchema>

export const ACTION_SOURCES = ['app_android', 'app_ios', 'web', 'offline'] as const
/** By what Pinterest can identify the customer. */
export const IDENTIFIERS = ['em', 'ph', 'external_id', 'click_id', 'ip_and_user_agent'] as const

/** The relay's own bounds: names and ids go into indexes, logs and dead letters. Pinterest states none. */
export const MAX_EVENT_NAME_LENGTH = 128
export const MAX_EVENT_ID_LENGTH = 512

/** A decimal without exponent: `72.39`. Pinterest parses it into a double. */
const DECIMAL = '^-?[0-9]+(\\.[0-9]+)?$'
const SHA256 = '^[0-9a-f]{64}$'

const closed = <Fields extends TProperties>(fields: Fields, more: object = {}) =>
  Type.Closed(Type.Optionals(fields), more)
const text = (maxLength?: number) => Type.String(maxLength === undefined ? {} : { maxLength })
const decimal = Type.String({ pattern: DECIMAL })
const integer = (minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER) =>
  Type.Integer({ minimum, maximum })
const texts = (more: object = {}) => Type.Array(Type.String(), { minItems: 1, ...more })
const hashes = Type.Array(Type.String({ pattern: SHA256 }), { minItems: 1 })
const wordsOf = (words: string) => Type.Enum(words.split(' '))

/** One of `em`, `hashed_maids` or the pair of address and user agent is required. */
export const UserDataSchema = closed(
  {
    em: hashes,
    hashed_maids: hashes,
    client_ip_address: text(),
    client_user_agent: text(),
    ph: hashes,
    ge: hashes,
    db: hashes,
    ln: hashes,
    fn: hashes,
    ct: hashes,
    st: hashes,
    zp: hashes,
    country: hashes,
    external_id: hashes,
    click_id: text(),
    partner_id: text(),
  },
  {
    anyOf: [
      { required: ['em'] },
      { required: ['hashed_maids'] },
      { required: ['client_ip_address', 'client_user_agent'] },
    ],
  },
)

const ContentSchema = closed({
  id: text(),
  item_name: text(),
  item_category: text(),
  item_brand: text(),
  item_price: decimal,
  quantity: integer(),
})

const CustomDataSchema = closed({
  currency: Type.String({ pattern: '^[A-Z]{3}$' }),
  value: decimal,
  num_items: integer(),
  order_id: text(),
  content_ids: texts(),
  contents: Type.Array(ContentSchema, { minItems: 1 }),
  content_name: text(),
  content_category: text(),
  content_brand: text(),
  search_string: text(),
  predicted_ltv: decimal,
  opt_out_type: text(),
  np: text(),
  external_measurement_id: text(),
  external_measurement_vendor_id: integer(),
})

export const AppInfoSchema = closed({
  app_id: text(200),
  app_name: text(200),
  app_package_name: text(200),
  app_store: text(100),
  app_version: text(100),
  install_time: integer(0),
  user_agent: text(16_384),
  window_height: integer(0, 30_720),
  window_width: integer(0, 30_720),
})

/** Storage sizes are in GB, screen sizes in pixels, density in pixels per inch, the battery in percent. */
export const DeviceInfoSchema = closed({
  battery_level: integer(0, 100),
  brand: text(100),
  carrier: text(100),
  cpu_cores: integer(0, 1152),
  external_storage_free_space: integer(0, 1_048_576),
  external_storage_size: integer(0, 1_048_576),
  form_factor: wordsOf('desktop laptop cellphone tablet smartwatch tv vr console other'),
  kernel_version: text(100),
  languages: texts({ maxItems: 100 }),
  locale: text(35),
  model: text(100),
  network_type: wordsOf('wifi cellular_2g cellular_3g cellular_4g cellular_5g cellular_6g ethernet unknown'),
  os_family: wordsOf('ios android macos windows linux bsd other'),
  os_name: text(100),
  os_release_name: text(100),
  os_version: text(100),
  screen_density: integer(0, 100_000),
  screen_height: integer(0, 30_720),
  screen_width: integer(0, 30_720),
  storage_free_space: integer(0, 1_048_576),
  storage_size: integer(0, 1_048_576),
  timezone: text(40),
  timezone_abbr: text(5),
  type: text(100),
})

export const EventSchema = Type.Closed({
  event_name: Type.String({ minLength: 1, maxLength: MAX_EVENT_NAME_LENGTH }),
  action_source: Type.Enum(ACTION_SOURCES),
  event_time: integer(0),
  event_id: Type.String({ minLength: 1, maxLength: MAX_EVENT_ID_LENGTH }),
  user_data: UserDataSchema,
  ...Type.Optionals({
    custom_data: CustomDataSchema,
    app_info: AppInfoSchema,
    device_info: DeviceInfoSchema,
    event_source_url: text(),
    opt_out: Type.Boolean(),
    partner_name: text(),
    app_id: text(),
    app_name: text(),
    app_version: text(),
    device_brand: text(),
    device_carrier: text(),
    device_model: text(),
    device_type: text(),
    os_version: text(),
    wifi: Type.Boolean(),
    language: text(),
  }),
})
