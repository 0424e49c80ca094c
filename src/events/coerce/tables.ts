/** Which rule reads which field. The order of the keys is the order in the JSON that Pinterest gets. */
import {
  type AppInfo,
  AppInfoSchema,
  type Content,
  type CustomData,
  type DeviceInfo,
  DeviceInfoSchema,
  type EventFields,
  EventFieldsSchema,
} from '../schema.ts'
import { currency, flag, privacyChoice } from './choice.ts'
import { integerBetween, rulesOf } from './from-schema.ts'
import { count, decimal } from './number.ts'
import { createTable } from './object.ts'
import { WRONG_TYPE } from './reading.ts'
import { text } from './text.ts'
import { time } from './time.ts'

const CONTENT = createTable<Content>({
  id: text,
  item_name: text,
  item_category: text,
  item_brand: text,
  item_price: decimal,
  quantity: count,
})

export const CUSTOM_DATA = createTable<CustomData>({
  currency,
  value: decimal,
  num_items: count,
  order_id: text,
  content_ids: { items: text, maxItems: Infinity },
  contents: { items: CONTENT, maxItems: Infinity },
  content_name: text,
  content_category: text,
  content_brand: text,
  search_string: text,
  predicted_ltv: decimal,
  opt_out_type: privacyChoice(text, 'text such as LDP'),
  np: text,
  external_measurement_id: text,
  external_measurement_vendor_id: integerBetween(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
})

export const APP_INFO = createTable<AppInfo>({
  ...rulesOf<AppInfo>(AppInfoSchema.properties),
  install_time: optionalTime,
})

export const DEVICE_INFO = createTable<DeviceInfo>(rulesOf<DeviceInfo>(DeviceInfoSchema.properties))

/** The event's own fields but for those that `prepareEvent` reads one by one. */
export const EVENT_FIELDS = createTable<EventFields>(
  {
    ...rulesOf<EventFields>(EventFieldsSchema.properties),
    opt_out: privacyChoice(flag, 'true or false'),
  },
  [
    'event_name',
    'action_source',
    'event_time',
    'event_id',
    'user_data',
    'custom_data',
    'app_info',
    'device_info',
  ],
)

function optionalTime(value: unknown) {
  const reading = time(value)
  return reading.status === 'invalid' ? WRONG_TYPE : reading
}
