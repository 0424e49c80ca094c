/**
 * Walks one object of the event by a table of rules, in the table's order, into a fresh object: same input, same bytes.
 * Keys that are not in the table are dropped with a warning. Values under them are never looked at, so that neither
 * their depth nor their size matters.
 */
import { listOr, objectOr } from '../lists.ts'
import { holdsChoice, noteChoice } from '../privacy.ts'
import { isAbsent, isObject, type RawObject, type Reading, type Rule } from '../reading.ts'
import { markInvalid, type Report, safeKey, warn } from '../report.ts'
import { isBlank } from './scalars.ts'

/** One rule per key of the schema's object; `T` is that object's type. */
export type Rules<T> = {
  readonly [Key in keyof T]-?: ListOf<T[Key]> | Rule<NonNullable<T[Key]>> | Table<NonNullable<T[Key]>>
}

/** A list, or a lone value, which counts as a list of one; what is wrong with an item costs only that item. */
export interface ListRule<Item> {
  readonly items: Rule<Item> | Table<Item>
  readonly maxItems: number
}

export interface Table<T> {
  readonly keys: ReadonlySet<string>
  readonly fields: readonly { readonly key: string; readonly rule: AnyRule }[]
  /** Makes it impossible to use one object's table for another. Never set. */
  readonly of?: T
}

type ListOf<T> = NonNullable<T> extends readonly (infer Item)[] ? ListRule<Item> : never
type AnyRule = Rule<unknown> | ListRule<unknown> | Table<unknown>

/** `alsoKnown`: keys that the caller reads itself. */
export function createTable<T>(rules: Rules<T>, alsoKnown: readonly string[] = []): Table<T> {
  const fields = Object.entries<AnyRule>(rules as Readonly<Record<string, AnyRule>>).map(([key, rule]) => ({
    key,
    rule,
  }))
  return { fields, keys: new Set([...fields.map(({ key }) => key), ...alsoKnown]) }
}

/** `prefix` is what the object's keys are appended to in paths, such as `custom_data.`. */
export function readObject<T>(raw: RawObject, table: Table<T>, prefix: string, report: Report): T {
  const object: Record<string, unknown> = {}
  for (const { key, rule } of table.fields) {
    const value = raw[key]
    if (isAbsent(value)) continue
    if (typeof rule === 'function') {
      const reading = rule(value)
      if (reading.status === 'read') object[key] = reading.value
      noteReading(reading, prefix, key, report)
    } else if ('fields' in rule) {
      const nested = readNested(value, rule, `${prefix}${key}`, report)
      if (nested !== undefined) object[key] = nested
    } else {
      const list = readList(listOr(value), rule, `${prefix}${key}`, report)
      if (list.length > 0) object[key] = list
    }
  }
  warnOfUnknownKeys(raw, table.keys, prefix, report)
  return object as T
}

/** An object below another one. Not an object: dropped. Nothing in it: absent. */
function readNested<T>(given: unknown, table: Table<T>, path: string, report: Report): T | undefined {
  if (isAbsent(given) || isBlank(given)) return undefined
  const value = isObject(given) ? given : objectOr(given)
  if (!isObject(value)) {
    warn(report, path, 'wrong_type')
    if (holdsChoice(value))
      markInvalid(report, 'unreadable_opt_out', path, 'holds a privacy choice, and is no object')
    return undefined
  }
  const object = readObject(value, table, `${path}.`, report)
  return isEmpty(object) ? undefined : object
}

function isEmpty(object: unknown): boolean {
  for (const _ in object as object) return false
  return true
}

function readList<Item>(value: unknown, rule: ListRule<Item>, path: string, report: Report): Item[] {
  const list: Item[] = []
  if (!Array.isArray(value)) {
    const item = readItem(value, rule.items, path, report)
    return item === undefined ? list : [item]
  }
  for (let index = 0; index < value.length; index++) {
    const item = readItem(value[index], rule.items, `${path}[${index}]`, report)
    if (item === undefined) continue
    if (list.length === rule.maxItems) {
      warn(report, path, 'too_many_values')
      break
    }
    list.push(item)
  }
  return list
}

function readItem<Item>(raw: unknown, rule: Rule<Item> | Table<Item>, path: string, report: Report) {
  if (isAbsent(raw)) return undefined
  if (typeof rule !== 'function') return readNested(raw, rule, path, report)
  const reading = rule(raw)
  noteReading(reading, path, '', report)
  return reading.status === 'read' ? reading.value : undefined
}

/** The path comes in two parts so that nothing is joined for the many values with which nothing is wrong. */
export function noteReading(reading: Reading<unknown>, prefix: string, key: string, report: Report): void {
  switch (reading.status) {
    case 'absent':
      return
    case 'read':
      if (reading.warning !== undefined) warn(report, prefix + key, reading.warning, reading.hint)
      return
    case 'dropped':
      warn(report, prefix + key, reading.code)
      return
    case 'invalid':
      markInvalid(report, reading.reason, prefix + key, reading.rule)
  }
}

export function warnOfUnknownKeys(
  raw: RawObject,
  known: ReadonlySet<string>,
  prefix: string,
  report: Report,
): void {
  let lastPath = ''
  for (const key of Object.keys(raw)) {
    if (known.has(key) || isAbsent(raw[key])) continue
    const path = prefix + safeKey(key)
    // Keys without a name that can be shown come in dozens.
    if (!noteChoice(key, raw[key], path, report) && path !== lastPath) warn(report, path, 'unknown_field')
    lastPath = path
  }
}
