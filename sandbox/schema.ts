/**
 * The body of a call as Pinterest's description of its API states it (release 5.23.0), to the letter: which keys exist,
 * what type each has, which of them may be null. Looser than the description nowhere, stricter nowhere: what Pinterest
 * checks beyond its types is in `judge.ts`. Written apart from the relay's own schema on purpose: a mistake in one of
 * them shows up against the other.
 */
import { Type, type Static } from '../src/type.ts'

export type PinterestEvent = Static<typeof EventSchema>

export const MAX_EVENTS_PER_CALL = 1000

const Text = Type.String()
const Texts = Type.Array(Text)
/** `nullable: true` in the description. As a list of types, since a union would hide which type was expected. */
const NullableText = Type.Unsafe<string | null>({ type: ['string', 'null'] })
const NullableInteger = Type.Unsafe<number | null>({ type: ['integer', 'null'] })

const closed = { additionalProperties: false } as const

function textUpTo(maxLength: number) {
  return Type.Optional(Type.String({ maxLength }))
}

function integerUpTo(maximum: number) {
  return Type.Optional(Type.Integer({ minimum: 0, maximum }))
}

function oneOf<const Word extends string>(words: readonly Word[]) {
  return Type.Optional(Type.Unsafe<Word>({ type: 'string', enum: words }))
}

/** The fields that hold SHA-256 hashes. */
export const HASHED_FIELDS = [
  'em',
  'hashed_maids',
  'ph',
  'ge',
  'db',
  'ln',
  'fn',
  'ct',
  'st',
  'zp',
  'country',
  'external_id',
] as const

export type HashedField = (typeof HASHED_FIELDS)[number]

/** Open to unknown keys, unlike the other objects. */
const UserDataSchema = Type.Object(
  {
    em: Type.Optional(Texts),
    hashed_maids: Type.Optional(Texts),
    ph: Type.Optional(Texts),
    ge: Type.Optional(Texts),
    db: Type.Optional(Texts),
    ln: Type.Optional(Texts),
    fn: Type.Optional(Texts),
    ct: Type.Optional(Texts),
    st: Type.Optional(Texts),
    zp: Type.Optional(Texts),
    country: Type.Optional(Texts),
    external_id: Type.Optional(Texts),
    client_ip_address: Type.Optional(Text),
    client_user_agent: Type.Optional(Text),
    click_id: Type.Optional(NullableText),
    partner_id: Type.Optional(NullableText),
  },
  {
    anyOf: [
      { required: ['em'] },
      { required: ['hashed_maids'] },
      { required: ['client_ip_address', 'client_user_agent'] },
    ],
  },
)

const ContentSchema = Type.Object(
  {
    id: Type.Optional(Text),
    item_brand: Type.Optional(Text),
    item_category: Type.Optional(Text),
    item_name: Type.Optional(Text),
    item_price: Type.Optional(Text),
    quantity: Type.Optional(Type.Integer()),
  },
  closed,
)

const CustomDataSchema = Type.Object(
  {
    content_brand: Type.Optional(NullableText),
    content_category: Type.Optional(NullableText),
    content_ids: Type.Optional(Texts),
    content_name: Type.Optional(NullableText),
    contents: Type.Optional(Type.Array(ContentSchema)),
    currency: Type.Optional(NullableText),
    external_measurement_id: Type.Optional(NullableText),
    external_measurement_vendor_id: Type.Optional(NullableInteger),
    np: Type.Optional(NullableText),
    num_items: Type.Optional(Type.Integer()),
    opt_out_type: Type.Optional(NullableText),
    order_id: Type.Optional(NullableText),
    predicted_ltv: Type.Optional(NullableText),
    search_string: Type.Optional(NullableText),
    value: Type.Optional(NullableText),
  },
  closed,
)

const AppInfoSchema = Type.Object(
  {
    app_id: textUpTo(200),
    app_name: textUpTo(200),
    app_package_name: textUpTo(200),
    app_store: textUpTo(100),
    app_version: textUpTo(100),
    install_time: Type.Optional(Type.Integer({ minimum: 0 })),
    user_agent: textUpTo(16_384),
    window_height: integerUpTo(30_720),
    window_width: integerUpTo(30_720),
  },
  closed,
)

const DeviceInfoSchema = Type.Object(
  {
    battery_level: integerUpTo(100),
    brand: textUpTo(100),
    carrier: textUpTo(100),
    cpu_cores: integerUpTo(1152),
    external_storage_free_space: integerUpTo(1_048_576),
    external_storage_size: integerUpTo(1_048_576),
    form_factor: oneOf([
      'desktop',
      'laptop',
      'cellphone',
      'tablet',
      'smartwatch',
      'tv',
      'vr',
      'console',
      'other',
    ]),
    kernel_version: textUpTo(100),
    languages: Type.Optional(Type.Array(Text, { maxItems: 100 })),
    locale: textUpTo(35),
    model: textUpTo(100),
    network_type: oneOf([
      'wifi',
      'cellular_2g',
      'cellular_3g',
      'cellular_4g',
      'cellular_5g',
      'cellular_6g',
      'ethernet',
      'unknown',
    ]),
    os_family: oneOf(['ios', 'android', 'macos', 'windows', 'linux', 'bsd', 'other']),
    os_name: textUpTo(100),
    os_release_name: textUpTo(100),
    os_version: textUpTo(100),
    screen_density: integerUpTo(100_000),
    screen_height: integerUpTo(30_720),
    screen_width: integerUpTo(30_720),
    storage_free_space: integerUpTo(1_048_576),
    storage_size: integerUpTo(1_048_576),
    timezone: textUpTo(40),
    timezone_abbr: textUpTo(5),
    type: textUpTo(100),
  },
  closed,
)

export const EventSchema = Type.Object(
  {
    event_name: Text,
    action_source: Text,
    event_time: Type.Integer(),
    event_id: Text,
    user_data: UserDataSchema,
    custom_data: Type.Optional(CustomDataSchema),
    app_info: Type.Optional(AppInfoSchema),
    device_info: Type.Optional(DeviceInfoSchema),
    event_source_url: Type.Optional(NullableText),
    opt_out: Type.Optional(Type.Boolean()),
    partner_name: Type.Optional(NullableText),
    app_id: Type.Optional(NullableText),
    app_name: Type.Optional(NullableText),
    app_version: Type.Optional(NullableText),
    device_brand: Type.Optional(NullableText),
    device_carrier: Type.Optional(NullableText),
    device_model: Type.Optional(NullableText),
    device_type: Type.Optional(NullableText),
    os_version: Type.Optional(NullableText),
    wifi: Type.Optional(Type.Boolean()),
    language: Type.Optional(NullableText),
  },
  closed,
)

/** The envelope without its events, which are checked one by one so that a bad call costs one error and no list. */
export const EnvelopeSchema = Type.Object(
  { data: Type.Array(Type.Unknown(), { minItems: 1, maxItems: MAX_EVENTS_PER_CALL }) },
  closed,
)
