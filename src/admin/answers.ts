/** Parts that the schemas of several answers share, and how an answer is made from the relay's own records. */
import {
  Type,
  type Described,
  type IsoTime,
  type Static,
  type TSchema,
  type TSchemaOptions,
} from '../type.ts'
import { MAX_EVENT_ID_LENGTH } from '../events/schema.ts'
import { ACTIONS, STATUSES, type AccountStatus, type QueueStatus } from '../delivery/queue-status.ts'

/** What a text of a pattern must be, in words for people. */
const RULES = new Map<unknown, string>()
export const ruleOfPattern = (pattern: unknown) => RULES.get(pattern)

/** A text of this pattern; a refusal says the rule instead. */
export function textOf(pattern: string, rule: string, options: TSchemaOptions = {}) {
  RULES.set(pattern, rule)
  return Type.String({ pattern, ...options })
}

export const AdAccountId = textOf('^\\d{1,18}$', 'must be the number of an ad account')
export const AccountParams = Type.Object({ id: AdAccountId })

export const sendOrFilter = (options: TSchemaOptions = {}) => Type.Enum(['send', 'filter'], options)

export const NextCursor = Type.OrNull(
  Type.String({ description: '`cursor` of the request for what follows; null at the end.' }),
)
/** Of a long list, newest first: the id of the last one that was listed; below 2^53. */
export const Cursor = textOf('^[1-9]\\d{0,14}$', 'is not one of this route')
/** 1 to 1,000, as a query has it. */
export const PageLimit = textOf('^([1-9]\\d{0,2}|1000)$', 'must be 1 to 1000')
export const DEFAULT_PAGE = 100

/** Of a query: only test events, or only live ones; both when absent. */
export const IsTest = Type.Optional(Type.Enum(['true', 'false']))
/** Of an event, or of an order, which may hold any character. */
export const EventId = Type.String({ minLength: 1, maxLength: MAX_EVENT_ID_LENGTH })
/** People read it beside others: nothing in it may turn the direction of the text around it. */
export const Label = textOf(
  '^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]*$',
  'must not hold control characters, marks of text direction or halves of characters',
  { maxLength: 200 },
)
export const NoContent = Type.Unsafe<undefined>(Type.Null({ description: 'Done; no body.' }))
export const Redirect = Type.Null({ description: 'To the page that follows.' })

export const Failure = Type.OrNull(
  Type.Closed({ at: Type.Time, reason: Type.String({ description: 'Never a token, never customer data.' }) }),
)

const statusFacts = {
  urgency: Type.Integer({
    minimum: 0,
    maximum: 3,
    description:
      '0: calls leave; 1: the relay tries again by itself; 2: paused by an operator; 3: it fails. From 2 a person has to act.',
  }),
  means: Type.String(),
  action: Type.OrNull(Type.Enum([...ACTIONS])),
  remedy: Type.OrNull(Type.String({ description: 'What to do; null where nothing has to be done.' })),
}
const ACCOUNT_STATUSES = Object.keys(STATUSES) as AccountStatus[]
const QUEUE_STATUSES = ACCOUNT_STATUSES.filter(
  (status): status is QueueStatus => status !== 'no_token' && status !== 'over_share',
)
export const accountStatus = { status: Type.Enum(ACCOUNT_STATUSES), ...statusFacts }
export const queueStatus = { status: Type.Enum(QUEUE_STATUSES), ...statusFacts }

/** The body of every refusal. */
export const ErrorAnswer = Type.Closed(
  {
    code: Type.String({ description: 'A stable word: the contract.' }),
    message: Type.String({ description: 'For people; may change. Names fields, never their values.' }),
  },
  { description: 'What went wrong.' },
)

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name

type CamelOf<Fields> = {
  readonly [Name in keyof Fields as Camel<Name & string>]: Fields[Name]
}

/** What a request has, as the relay names it: in camelCase. */
export function camelOf<Fields extends object>(fields: Fields): CamelOf<Fields> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [toCamel(name), value as unknown]),
  ) as CamelOf<Fields>
}

/** What a query asks for, with `test` as a flag. */
export function filterOf<Fields extends { readonly test?: boolean | 'true' | 'false' }>({
  test,
  ...fields
}: Fields): CamelOf<Omit<Fields, 'test'>> & { readonly isTest?: boolean } {
  return { ...camelOf(fields), ...(test !== undefined && { isTest: String(test) === 'true' }) }
}

function toCamel(name: string): string {
  return name.replace(/_(\w)/g, (_, initial: string) => initial.toUpperCase())
}

/** The record that an answer is made of: names in camelCase, times as `…Ms` since the epoch, undefined for null. */
export type RecordOf<Answer> = Answer extends IsoTime
  ? number
  : Answer extends readonly (infer Item)[]
    ? readonly RecordOf<Item>[]
    : Answer extends object
      ? {
          readonly [
            Name in keyof Answer as NonNullable<Answer[Name]> extends IsoTime
              ? `${Camel<Name & string>}Ms`
              : Camel<Name & string>
          ]: RecordOf<Answer[Name]>
        }
      : Answer extends null
        ? null | undefined
        : Answer

/**
 * The fields that the schema names, and no others, whatever else the record holds; optional ones only where there is a value. The routes' answers are
 * made by it.
 */
export function answerOf<Schema extends TSchema>(
  schema: Schema,
  record: RecordOf<Static<Schema>>,
): Static<Schema> {
  return convert(schema, record) as Static<Schema>
}

function convert(schema: Described, value: unknown): unknown {
  if (value === undefined || value === null) return null
  const { format, items, properties, required, patternProperties } = memberFor(schema, value)
  if (format === 'date-time') return new Date(value as number).toISOString()
  if (items !== undefined) return (value as readonly unknown[]).map((item) => convert(items, item))
  const record = value as Readonly<Record<string, unknown>>
  const [ofAny] = Object.values(patternProperties ?? {})
  if (ofAny !== undefined)
    return Object.fromEntries(Object.entries(record).map(([name, field]) => [name, convert(ofAny, field)]))
  if (properties === undefined) return value
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, property]) => {
      const camel = toCamel(name)
      const isInstant = property.format === 'date-time' || property.anyOf?.[0]?.format === 'date-time'
      const field = record[isInstant ? `${camel}Ms` : camel]
      const isLeftOut = field === undefined && required?.includes(name) !== true
      return isLeftOut ? [] : [[name, convert(property, field)]]
    }),
  )
}

/** Of a union the one that says what an object may have: a record must never pass as it is. */
function memberFor(schema: Described, value: unknown): Described {
  if (schema.anyOf === undefined) return schema
  const members = schema.anyOf.map((member) => memberFor(member, value))
  const ofObjects = members.find(({ properties, patternProperties }) => properties ?? patternProperties)
  return (typeof value === 'object' && ofObjects) || members[0]!
}

export function idOfCursor(cursor: string | undefined): { readonly beforeId?: number } {
  return cursor === undefined ? {} : { beforeId: Number(cursor) }
}

/** `find` is asked for one more than the limit, to know whether there are more. */
export async function readPage<Item extends { readonly id: number }>(
  { limit: limitText, cursor }: { readonly limit?: string | undefined; readonly cursor?: string | undefined },
  find: (query: { readonly limit: number; readonly beforeId?: number }) => Promise<readonly Item[]>,
) {
  const limit = Number(limitText ?? DEFAULT_PAGE)
  const found = await find({ ...idOfCursor(cursor), limit: limit + 1 })
  const page = found.slice(0, limit)
  return { page, nextCursor: found.length > limit ? page.at(-1)?.id.toString() : undefined }
}
