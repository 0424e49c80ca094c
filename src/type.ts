/**
 * JSON schemas with TypeBox's names and types: a package of 300 modules, which took a fifth of a start to load. What checks values
 * is TypeBox's own, `typebox/schema`. Only the kinds that are used; a test compares each with TypeBox's.
 */
import type { TOptional, TProperties, TSchema, Type as TypeBox } from 'typebox'

export type { Static, TProperties, TSchema, TSchemaOptions } from 'typebox'

interface Schema {
  readonly [keyword: string]: unknown
}

/** Those keywords of a schema by which the relay itself walks through a value. */
export interface Described {
  /** Absent beside `enum`. */
  readonly type?: string
  readonly enum?: readonly string[]
  readonly anyOf?: readonly Described[]
  readonly properties?: Readonly<Record<string, Described>>
  readonly patternProperties?: Readonly<Record<string, Described>>
  readonly required?: readonly string[] | undefined
  readonly items?: Described
  readonly maxItems?: number
  readonly format?: string
  readonly pattern?: string
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
}

const marked = new WeakSet<Schema>()

function object(properties: Readonly<Record<string, Schema>>, options?: Schema): Schema {
  const required = Object.keys(properties).filter((name) => !marked.has(properties[name]!))
  return { type: 'object', ...(required.length > 0 && { required }), properties, ...options }
}

/** With these names, or with names of this pattern. */
function record(names: Schema, value: Schema, options?: Schema): Schema {
  const { enum: words, pattern = '^.*$' } = names as { enum?: readonly string[]; pattern?: string }
  if (words) return object(Object.fromEntries(words.map((word) => [word, value])), options)
  return { type: 'object', patternProperties: { [pattern]: value }, ...options }
}

function optional(schema: Schema): Schema {
  const copy = { ...schema }
  marked.add(copy)
  return copy
}

const kinds = {
  Array: (items: Schema, options?: Schema) => ({ type: 'array', items, ...options }),
  Boolean: (options?: Schema) => ({ type: 'boolean', ...options }),
  Enum: (words: readonly string[], options?: Schema) => ({ enum: words, ...options }),
  Integer: (options?: Schema) => ({ type: 'integer', ...options }),
  Literal: (value: unknown, options?: Schema) => ({ type: typeof value, const: value, ...options }),
  Null: (options?: Schema) => ({ type: 'null', ...options }),
  Number: (options?: Schema) => ({ type: 'number', ...options }),
  Object: object,
  Optional: optional,
  Record: record,
  String: (options?: Schema) => ({ type: 'string', ...options }),
  Union: (anyOf: readonly Schema[], options?: Schema) => ({ anyOf, ...options }),
  Unknown: (options?: Schema) => ({ ...options }),
  Unsafe: (schema: Schema) => schema,
}
const Json = kinds as unknown as Pick<typeof TypeBox, keyof typeof kinds>

/** An object with these fields and no others. */
function closed<Fields extends TProperties>(fields: Fields, options: object = {}) {
  return Json.Object(fields, { additionalProperties: false, ...options })
}

/** Each of them. */
function optionals<Fields extends TProperties>(fields: Fields) {
  const all = Object.entries(fields).map(([name, schema]) => [name, Json.Optional(schema)])
  return Object.fromEntries(all) as { [Name in keyof Fields]: TOptional<Fields[Name]> }
}

const orNull = <Schema extends TSchema>(schema: Schema) => Json.Union([schema, Json.Null()])

declare const isTime: unique symbol
/** ISO 8601, UTC. */
export type IsoTime = string & { readonly [isTime]: true }

/** TypeBox's kinds, and what the schemas of both ports have in common. */
export const Type = {
  ...Json,
  Closed: closed,
  Count: Json.Integer({ minimum: 0 }),
  CountOf: (description: string) => Json.Integer({ minimum: 0, description }),
  Optionals: optionals,
  OrNull: orNull,
  /** Of a setting. Absent: stays as it is. Null: back to the default. */
  OrDefault: <Schema extends TSchema>(schema: Schema) => Json.Optional(orNull(schema)),
  Seconds: orNull(Json.Integer()),
  Time: Json.Unsafe<IsoTime>(Json.String({ format: 'date-time' })),
}
