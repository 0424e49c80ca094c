/**
 * The rules of fields that are nothing but what the schema says: text, integers, flags and words within bounds, and
 * lists of text. Bounds are written once, in the schema; a wrong value here costs only its field.
 */
import { flag, oneOf } from './choice.ts'
import { isBlank, toNumber, wholeNumber } from './number.ts'
import type { ListRule, Rules } from './object.ts'
import { ABSENT, OUT_OF_RANGE, type Reading, type Rule, WRONG_TYPE } from './reading.ts'
import { text, textUpTo } from './text.ts'

/** The keywords that this reads, of the schemas in `schema.ts`. */
export interface FieldSchema {
  /** Absent beside `enum`. */
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
}

/** `T` is the type of the object whose properties these are. */
export function rulesOf<T>(properties: { readonly [Key in keyof T]-?: FieldSchema }): Rules<T> {
  const entries = Object.entries<FieldSchema>(properties)
  return Object.fromEntries(entries.map(([key, schema]) => [key, ruleOf(schema)])) as Rules<T>
}

export function integerBetween(minimum: number, maximum: number): Rule<number> {
  return (value) => {
    const number = toNumber(value)
    if (number === undefined) return isBlank(value) ? ABSENT : WRONG_TYPE
    return within(wholeNumber(number), minimum, maximum)
  }
}

function within(reading: Reading<number>, minimum: number, maximum: number): Reading<number> {
  if (reading.status !== 'read') return reading
  return reading.value < minimum || reading.value > maximum ? OUT_OF_RANGE : reading
}

function ruleOf(schema: FieldSchema): Rule<unknown> | ListRule<unknown> {
  if (schema.enum !== undefined) return oneOf(schema.enum.map(String))
  if (schema.type === 'boolean') return flag
  if (schema.type === 'array') return { items: text, maxItems: schema.maxItems ?? Infinity }
  if (schema.type === 'integer') {
    return integerBetween(
      schema.minimum ?? Number.MIN_SAFE_INTEGER,
      schema.maximum ?? Number.MAX_SAFE_INTEGER,
    )
  }
  return schema.maxLength === undefined ? text : textUpTo(schema.maxLength)
}
