/**
 * Which rule reads which field. Most fields are nothing but what the schema says: bounds are written once, there, and a wrong
 * value costs only its field. The order of the schema's keys is the order in the JSON that Pinterest gets.
 */
import { orderId } from '../event-id.ts'
import { ABSENT, type Rule, WRONG_TYPE } from '../reading.ts'
import {
  type AppInfo,
  AppInfoSchema,
  type Content,
  ContentSchema,
  type CustomData,
  CustomDataSchema,
  type DeviceInfo,
  DeviceInfoSchema,
  EventFieldsSchema,
  EventSchema,
  type PreparedEvent,
} from '../schema.ts'
import { currency } from './currency.ts'
import { createTable, type ListRule, type Rules } from './object.ts'
import * as scalars from './scalars.ts'
import { time } from './time.ts'

/** The keywords that this reads, of the schemas in `schema.ts`. */
export interface FieldSchema {
  /** Absent beside `enum`. */
  readonly type?: string
  readonly enum?: readonly unknown[]
  /** Of decimals; currencies have a rule of their own. */
  readonly pattern?: string
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
}

/** `T` is the type of the object whose properties these are. */
function rulesOf<T>(properties: { readonly [Key in keyof T]-?: FieldSchema }): Rules<T> {
  const entries = Object.entries<FieldSchema>(properties)
  return Object.fromEntries(entries.map(([key, schema]) => [key, ruleOf(schema)])) as Rules<T>
}

function ruleOf(schema: FieldSchema): Rule<unknown> | ListRule<unknown> {
  if (schema.enum !== undefined) return scalars.oneOf(schema.enum.map(String))
  if (schema.type === 'boolean') return scalars.flag
  if (schema.type === 'array') return { items: scalars.text, maxItems: schema.maxItems ?? Infinity }
  if (schema.type === 'integer') return scalars.integerBetween(schema.minimum!, schema.maximum!)
  if (schema.pattern !== undefined) return scalars.decimal
  return schema.maxLength === undefined ? scalars.text : scalars.textUpTo(schema.maxLength)
}

const { count, decodedText, demanded } = scalars

const CONTENT = createTable<Content>({
  ...rulesOf<Content>(ContentSchema.properties),
  item_name: decodedText,
  item_category: decodedText,
  item_brand: decodedText,
  quantity: count,
})

const CUSTOM_DATA = createTable<CustomData>({
  ...rulesOf<CustomData>(CustomDataSchema.properties),
  currency,
  num_items: count,
  order_id: orderId,
  contents: { items: CONTENT, maxItems: Infinity },
  content_name: decodedText,
  content_category: decodedText,
  content_brand: decodedText,
  search_string: decodedText,
  // Leaving out what cannot be read could undo the choice.
  opt_out_type: demanded(scalars.text, 'unreadable_opt_out', 'text such as LDP'),
})

const APP_INFO = createTable<AppInfo>({
  ...rulesOf<AppInfo>(AppInfoSchema.properties),
  install_time: (value) => {
    if (scalars.isBlank(value)) return ABSENT
    const reading = time(value)
    return reading.status === 'invalid' ? WRONG_TYPE : reading
  },
})

/** What an event has beside the fields that `prepareEvent` reads one by one. */
type EventFields = Omit<
  PreparedEvent,
  'event_name' | 'action_source' | 'event_time' | 'event_id' | 'user_data'
>

export const EVENT_FIELDS = createTable<EventFields>(
  {
    custom_data: CUSTOM_DATA,
    app_info: APP_INFO,
    device_info: createTable<DeviceInfo>(rulesOf<DeviceInfo>(DeviceInfoSchema.properties)),
    ...rulesOf<Omit<EventFields, 'custom_data' | 'app_info' | 'device_info'>>(EventFieldsSchema.properties),
    event_source_url: decodedText,
    opt_out: demanded(scalars.flag, 'unreadable_opt_out', 'true or false'),
  },
  Object.keys(EventSchema.properties),
)
