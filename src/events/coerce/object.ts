/**
 * Reads one object of the event by its schema, in the schema's order, into a new object: same input, same
 * bytes. Bounds are written once, in the schema; a wrong value costs only its field. Keys that the schema does not have are
 * dropped with a warning. Values under them are never read, so that neither their depth nor their size matters.
 */
import { orderId } from '../event-id.ts'
import { listOr, objectOr } from '../lists.ts'
import { CHOICES, holdsChoice, noteChoice } from '../privacy.ts'
import { ABSENT, isAbsent, isObject, type RawObject, type Rule, WRONG_TYPE } from '../reading.ts'
import { markInvalid, noteReading, type Report, safeKey, type Step, warn } from '../report.ts'
import { EventSchema, type PreparedEvent } from '../schema.ts'
import type { Described } from '../../type.ts'
import { currency } from './currency.ts'
import * as scalars from './scalars.ts'
import { time } from './time.ts'

const { count, decodedText, isBlank, pageAddress, searchString } = scalars

/** By path. Every other field's rule follows from its schema. */
const OWN_RULES: Readonly<Record<string, Rule<unknown>>> = {
  event_source_url: pageAddress,
  opt_out: CHOICES.opt_out,
  'custom_data.opt_out_type': CHOICES.opt_out_type,
  'custom_data.currency': currency,
  'custom_data.num_items': count,
  'custom_data.order_id': orderId,
  'custom_data.content_name': decodedText,
  'custom_data.content_category': decodedText,
  'custom_data.content_brand': decodedText,
  'custom_data.search_string': searchString,
  'custom_data.contents.item_name': decodedText,
  'custom_data.contents.item_category': decodedText,
  'custom_data.contents.item_brand': decodedText,
  'custom_data.contents.quantity': count,
  'app_info.install_time': (value) => {
    if (isBlank(value)) return ABSENT
    const reading = time(value)
    return reading.status === 'invalid' ? WRONG_TYPE : reading
  },
}

/** A list, or a lone value, which counts as a list of one; what is wrong with an item costs only that item. */
interface ListRule {
  readonly items: AnyRule
  readonly maxItems: number
}

interface Table {
  readonly keys: ReadonlySet<string>
  /** Without a rule: read by the caller. */
  readonly fields: readonly { readonly key: string; readonly rule: AnyRule | undefined }[]
}

type AnyRule = Rule<unknown> | ListRule | Table

/** Required, and read one by one by `prepareEvent`. */
const READ_BY_CALLER = ['event_name', 'action_source', 'event_time', 'event_id', 'user_data'] as const

function ruleOf(schema: Described, path: string): AnyRule | undefined {
  if (READ_BY_CALLER.some((name) => name === path)) return undefined
  if (OWN_RULES[path] !== undefined) return OWN_RULES[path]
  if (schema.properties !== undefined) return tableOf(schema.properties, `${path}.`)
  if (schema.items !== undefined) {
    return { items: ruleOf(schema.items, path)!, maxItems: schema.maxItems ?? Infinity }
  }
  if (schema.enum !== undefined) return scalars.oneOf(schema.enum)
  if (schema.type === 'boolean') return scalars.flag
  if (schema.type === 'integer') return scalars.integerBetween(schema.minimum!, schema.maximum!)
  if (schema.pattern !== undefined) return scalars.decimal
  return schema.maxLength === undefined ? scalars.text : scalars.textUpTo(schema.maxLength)
}

function tableOf(properties: Readonly<Record<string, Described>>, prefix: string): Table {
  const fields = Object.entries(properties).map(([key, schema]) => ({
    key,
    rule: ruleOf(schema, prefix + key),
  }))
  return { fields, keys: new Set(Object.keys(properties)) }
}

const EVENT = tableOf(EventSchema.properties, '')

/** Every field of the event but those that the caller reads. */
export function readFields(raw: RawObject, report: Report) {
  return readObject(raw, EVENT, report) as Omit<PreparedEvent, (typeof READ_BY_CALLER)[number]>
}

function readObject(raw: RawObject, table: Table, report: Report): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  let left = Object.keys(raw).length
  for (const { key, rule } of table.fields) {
    if (left === 0) return object
    const given = raw[key]
    if (given === undefined) continue
    left -= 1
    const value = rule === undefined ? undefined : readAny(given, rule, key, report)
    if (value !== undefined) object[key] = value
  }
  if (left > 0) warnOfUnknownKeys(raw, table.keys, report)
  return object
}

/** Undefined where there is nothing to send. */
function readAny(value: unknown, rule: AnyRule, step: Step, report: Report): unknown {
  if (isAbsent(value)) return undefined
  if (typeof rule === 'function') {
    const reading = rule(value)
    if (reading.status !== 'read' || reading.warning !== undefined) noteReading(reading, step, report)
    return reading.status === 'read' ? reading.value : undefined
  }
  report.at.push(step)
  const result = 'fields' in rule ? readNested(value, rule, report) : readList(listOr(value), rule, report)
  report.at.pop()
  return result
}

/** An object below another one. Not an object: dropped. Nothing in it: absent. */
function readNested(given: unknown, table: Table, report: Report): unknown {
  if (isBlank(given)) return undefined
  const value = isObject(given) ? given : objectOr(given)
  if (!isObject(value)) {
    warn(report, '', 'wrong_type')
    if (holdsChoice(value))
      markInvalid(report, 'unreadable_opt_out', '', 'holds a privacy choice, and is no object')
    return undefined
  }
  const object = readObject(value, table, report)
  for (const _ in object) return object
  return undefined
}

function readList(given: unknown, rule: ListRule, report: Report): unknown[] | undefined {
  const isList = Array.isArray(given)
  const values: readonly unknown[] = isList ? given : [given]
  const list: unknown[] = []
  for (let index = 0; index < values.length; index++) {
    const item = readAny(values[index], rule.items, isList ? index : '', report)
    if (item === undefined) continue
    if (list.length === rule.maxItems) {
      warn(report, '', 'too_many_values')
      break
    }
    list.push(item)
  }
  return list.length > 0 ? list : undefined
}

export function warnOfUnknownKeys(raw: RawObject, known: ReadonlySet<string>, report: Report): void {
  let last = ''
  for (const key of Object.keys(raw)) {
    if (known.has(key) || isAbsent(raw[key])) continue
    const name = safeKey(key)
    // Keys without a name that can be shown come in dozens.
    if (!noteChoice(key, raw[key], name, report) && name !== last) warn(report, name, 'unknown_field')
    last = name
  }
}
