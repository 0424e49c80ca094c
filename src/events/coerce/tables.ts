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
import { orderId } from '../event-id.ts'
import { flag, privacyChoice } from './choice.ts'
import { currency } from './currency.ts'
import { integerBetween, rulesOf } from './from-schema.ts'
import { count, decimal, isBlank } from './number.ts'
import { createTable } from './object.ts'
import { ABSENT, WRONG_TYPE } from './reading.ts'
import { decodedText, text } from './text.ts'
import { time } from './time.ts'

const CONTENT = createTable<Content>({
  id: text,
  item_name: decodedText,
  item_category: decodedText,
  item_brand: decodedText,
  item_price: decimal,
  quantity: count,
})

export const CUSTOM_DATA = createTable<CustomData>({
  currency,
  value: decimal,
  num_items: count,
  order_id: orderId,
  content_ids: { items: text, maxItems: Infinity },
  contents: { items: CONTENT, maxItems: Infinity },
  content_name: decodedText,
  content_category: decodedText,
  content_brand: decodedText,
  search_string: decodedText,
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
    event_source_url: decodedText,
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
  if (isBlank(value)) return ABSENT
  const reading = time(value)
  return reading.status === 'invalid' ? WRONG_TYPE : reading
}
