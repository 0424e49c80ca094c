/** Parts that the schemas of several answers share. Answers are described, and checked by tests, but not shaped by them. */
import { Type, type TSchema } from 'typebox'

export const AdAccountId = Type.String({ pattern: '^\\d{1,18}$' })

export const closed = { additionalProperties: false } as const

export const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

/** ISO 8601, UTC. */
export const Time = Type.String({ format: 'date-time' })
export const Count = Type.Integer({ minimum: 0 })
export const NextCursor = orNull(
  Type.String({ description: '`cursor` of the request for what follows; null at the end.' }),
)
export const NoContent = Type.Null({ description: 'Done; no body.' })

export const Failure = orNull(
  Type.Object(
    { at: Time, reason: Type.String({ description: 'Never a token, never customer data.' }) },
    closed,
  ),
)

/** Of every refusal. */
export const ErrorAnswer = Type.Object(
  {
    code: Type.String({ description: 'A stable word: the contract.' }),
    message: Type.String({ description: 'For people; may change. Names fields, never their values.' }),
  },
  { ...closed, description: 'What went wrong.' },
)

/**
 * A route's answers by status. Opaque to the compiler, which would want handlers to answer mutable lists: that what is sent
 * is what is described, a test holds.
 */
export function answers(byStatus: Readonly<Record<number, TSchema>>): unknown {
  return byStatus
}
