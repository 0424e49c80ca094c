/**
 * One event of a storefront, turned into the exact JSON that Pinterest gets: checked, coerced, normalized, hashed, and
 * serialized once, from a fresh object of known keys. Or found invalid, with a reason; or filtered, since
 * the account does not want such events sent.
 *
 * Pure. Never throws, whatever JSON it gets, and takes time in proportion to it: values under unknown keys are never
 * read. Money, counts and privacy choices that cannot be read make the event invalid; any other optional field that
 * Pinterest would not take is left out with a warning.
 */
import { currency } from './coerce/currency.ts'
import { readFields } from './coerce/object.ts'
import { demanded, oneOf } from './coerce/scalars.ts'
import { time } from './coerce/time.ts'
import { isBotUserAgent } from './bots.ts'
import type { FilteredReason, Invalid, Warning } from './reasons.ts'
import { deriveEventId, eventId, orderId } from './event-id.ts'
import { eventName, type EventNames, isKnownEventName } from './event-name.ts'
import { placeChoices } from './privacy.ts'
import { unpackEvent } from './lists.ts'
import { ABSENT, isAbsent, isObject, type RawObject, type Reading, type Rule } from './reading.ts'
import { createReport, markInvalid, noteReading, type Report, warn } from './report.ts'
import { ACTION_SOURCES, type CustomData, IDENTIFIERS, type PreparedEvent } from './schema.ts'
import { trailIdsOf, type TrailIds } from './personal-ids.ts'
import { type NormalizeContext, readUserData } from './user-data.ts'

export interface PrepareContext extends NormalizeContext {
  /** The account's own; each comes before any other meaning of the name. */
  readonly eventNames?: EventNames | undefined
  /** Older events are invalid; test events may have any age. */
  readonly maxEventAgeMs: number
  readonly isTest: boolean
  /** What the account wants done with events whose user agent is a bot's. */
  readonly bots: 'send' | 'filter'
}

/** What there is of every event. */
interface Known {
  /** Of an invalid event one of Pinterest's own, or undefined: another is not repeated. */
  readonly eventName: string | undefined
  /** `event_time` in seconds since the epoch. */
  readonly eventTimeS: number | undefined
  readonly trailIds: TrailIds
  readonly warnings: readonly Warning[]
}

export interface ValidEvent extends Known {
  readonly status: 'prepared'
  readonly eventName: string
  readonly eventId: string
  readonly eventTimeS: number
  readonly identifiers: readonly (typeof IDENTIFIERS)[number][]
  /**
   * The strongest identifier of which the event has a single one, as a number: its kind in the last two bits, and 28 bits of its hash.
   * 0 where there is none: two addresses or browsers may be one person's.
   */
  readonly customer: number
}

/** An event of which nothing is sent. */
export type WithheldEvent =
  | (Known & {
      readonly status: 'filtered'
      /** Undefined for a webhook that is about no event. */
      readonly eventId: string | undefined
      readonly reason: FilteredReason
    })
  | (Known & Invalid & { readonly status: 'invalid' })

/** `json` is not read-only: whoever has written it need not keep it. */
export type Prepared = (ValidEvent & { json: string }) | WithheldEvent

export function prepareEvent(given: unknown, context: PrepareContext): Prepared {
  const raw = unpackEvent(given)
  const report = createReport()
  const event = isObject(raw) ? readEvent(raw, context, report) : undefined
  const { warnings } = report
  if (event === undefined || report.invalid !== undefined) {
    return { status: 'invalid', ...(report.invalid ?? NOT_AN_OBJECT), warnings, ...readKnown(raw) }
  }
  const { event_name: eventName, event_id: eventId, event_time: eventTimeS, user_data: userData } = event
  const trailIds = trailIdsOf(eventId, event.custom_data?.order_id, (raw as RawObject)['user_data'], userData)
  const isFromBot = isBot(event)
  if (isFromBot) warn(report, 'user_data.client_user_agent', 'bot_user_agent')
  if (isFromBot && context.bots === 'filter') {
    return {
      status: 'filtered',
      eventName,
      eventId,
      eventTimeS,
      trailIds,
      reason: 'bot_user_agent',
      warnings,
    }
  }
  return {
    status: 'prepared',
    json: JSON.stringify(event),
    // Without spreads, which take three times as long.
    eventName,
    eventId,
    eventTimeS,
    trailIds,
    identifiers: identifiersOf(userData),
    customer: customerOf(userData),
    warnings: warnings.length === 0 ? NO_WARNINGS : warnings,
  }
}

/** What can be read of an event that is not sent. */
export function readKnown(raw: unknown) {
  const event: RawObject = isObject(raw) ? raw : {}
  const customData: RawObject = isObject(event['custom_data']) ? event['custom_data'] : {}
  const name = valueOf(readOne(event['event_name'], eventName))
  const eventTimeS = valueOf(readOne(event['event_time'], time))
  const id = valueOf(readOne(event['event_id'], eventId))
  const order = valueOf(readOne(customData['order_id'], orderId))
  return {
    eventName: name !== undefined && isKnownEventName(name) ? name : undefined,
    eventTimeS,
    trailIds: trailIdsOf(id, order, event['user_data']),
  }
}

function readOne<T>(value: unknown, rule: Rule<T>): Reading<T> {
  return isAbsent(value) ? ABSENT : rule(value)
}

function valueOf<T>(reading: Reading<T>): T | undefined {
  return reading.status === 'read' ? reading.value : undefined
}

/** All that there are, by the bits of their members: an event has none of its own, which would live until its post is answered. */
const SETS_OF_IDENTIFIERS = Array.from({ length: 1 << IDENTIFIERS.length }, (_, bits) =>
  IDENTIFIERS.filter((_, place) => (bits & (1 << place)) > 0),
)

function identifiersOf(userData: PreparedEvent['user_data']): ValidEvent['identifiers'] {
  const { em, ph, external_id, click_id, client_ip_address, client_user_agent } = userData
  const isBrowser = client_ip_address !== undefined && client_user_agent !== undefined
  const bits =
    Number(em !== undefined) |
    (Number(ph !== undefined) << 1) |
    (Number(external_id !== undefined) << 2) |
    (Number(click_id !== undefined) << 3) |
    (Number(isBrowser) << 4)
  return SETS_OF_IDENTIFIERS[bits]!
}

function customerOf({ em, external_id, ph }: PreparedEvent['user_data']): number {
  if (em !== undefined) return em.length === 1 ? numberOf(em[0]!, 1) : 0
  if (external_id?.length === 1) return numberOf(external_id[0]!, 2)
  return ph?.length === 1 ? numberOf(ph[0]!, 3) : 0
}

function numberOf(hash: string, kind: number): number {
  return Number.parseInt(hash.slice(0, 7), 16) * 4 + kind
}

const NO_WARNINGS: readonly Warning[] = []
const NOT_AN_OBJECT = { reason: 'not_an_object', path: '', message: 'the event must be an object' } as const
const HOUR_MS = 3_600_000

/** Undefined once the event is invalid. What is cheap to check comes first, the hashing last. */
function readEvent(raw: RawObject, context: PrepareContext, report: Report): PreparedEvent | undefined {
  const name = readRequired(raw, 'event_name', (value) => eventName(value, context.eventNames), report)
  const source = readRequired(raw, 'action_source', actionSource, report)
  const eventTimeS = readRequired(raw, 'event_time', time, report)
  if (name === undefined || source === undefined || eventTimeS === undefined) return undefined
  checkAge(eventTimeS, context, report)

  const fields = readFields(raw, report)
  checkCurrency(raw['custom_data'], fields.custom_data, report)
  const id = readEventId(raw, name, fields.custom_data, report)
  if (report.invalid !== undefined || id === undefined) return undefined

  const rawUserData = raw['user_data']
  if (isAbsent(rawUserData)) return markInvalid(report, 'missing_field', 'user_data', 'is missing')
  if (!isObject(rawUserData)) return markInvalid(report, 'not_an_object', 'user_data', 'must be an object')
  const userData = readUserData(rawUserData, fields.event_source_url, context, report)
  if (userData === undefined) return undefined
  const event = {
    event_name: name,
    action_source: source,
    event_time: eventTimeS,
    event_id: id,
    user_data: userData,
    ...fields,
  }
  return placeChoices(event, report)
}

/** An app's own HTTP client (okhttp) is the customer's. */
function isBot({ action_source, user_data: { client_user_agent } }: PreparedEvent): boolean {
  if (client_user_agent === undefined || action_source.startsWith('app_')) return false
  return isBotUserAgent(client_user_agent)
}

function readRequired<T>(raw: RawObject, key: string, rule: Rule<T>, report: Report): T | undefined {
  const reading = readOne(raw[key], rule)
  if (reading.status === 'absent') return markInvalid(report, 'missing_field', key, 'is missing')
  noteReading(reading, key, report)
  return valueOf(reading)
}

const actionSource = demanded(
  oneOf(ACTION_SOURCES),
  'unknown_action_source',
  `one of ${ACTION_SOURCES.join(', ')}`,
)

function checkAge(
  eventTimeS: number,
  { nowMs, maxEventAgeMs, isTest }: PrepareContext,
  report: Report,
): void {
  const ageMs = nowMs - eventTimeS * 1000
  if (ageMs < -HOUR_MS) {
    markInvalid(report, 'future_event', 'event_time', 'must not be more than an hour in the future')
  } else if (ageMs > maxEventAgeMs && !isTest) {
    const hours = Math.floor(maxEventAgeMs / HOUR_MS)
    markInvalid(report, 'too_old', 'event_time', `must not be more than ${hours} hours in the past`)
  } else if (ageMs > HOUR_MS) {
    warn(report, 'event_time', 'late_event')
  }
}

/** Without a currency Pinterest takes the advertiser's own, and 10,000 yen become 10,000 dollars. */
function checkCurrency(raw: unknown, customData: CustomData | undefined, report: Report): void {
  if (customData === undefined || customData.currency !== undefined) return
  const written = (raw as RawObject)['currency']
  if (isAbsent(written) || currency(written).status !== 'dropped' || !holdsMoney(customData)) return
  const rule = 'must be an ISO 4217 code such as EUR, since the event holds money'
  markInvalid(report, 'unreadable_currency', 'custom_data.currency', rule)
}

function holdsMoney({ value, predicted_ltv, contents }: CustomData): boolean {
  if (value !== undefined || predicted_ltv !== undefined) return true
  return contents?.some(({ item_price }) => item_price !== undefined) ?? false
}

function readEventId(raw: RawObject, name: string, customData: CustomData | undefined, report: Report) {
  const own = readOne(raw['event_id'], eventId)
  const order = customData?.order_id
  if (own.status === 'absent' && order === undefined) {
    const rule = 'is missing or means nothing, and there is no order_id to derive it from'
    return markInvalid(report, 'missing_field', 'event_id', rule)
  }
  const isDerived = own.status === 'absent'
  if (isDerived) warn(report, 'event_id', 'event_id_derived')
  const id = isDerived ? eventId(deriveEventId(name, order!)) : own
  noteReading(id, 'event_id', report)
  return valueOf(id)
}
