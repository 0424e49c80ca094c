/**
 * What would be sent to Pinterest for these events. Nothing is sent, stored or logged; the answer holds hashes, masked
 * values, and the JSON as Pinterest would get it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import { explainEvent } from '../event/explain.ts'
import { AdAccountId, answers, closed, orNull } from './answers.ts'
import type { AdminOptions } from './app.ts'

const Body = Type.Object(
  {
    ad_account_id: AdAccountId,
    /** As a storefront posts them. */
    data: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 1000 }),
    /** As test events, which may have any age. */
    test: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)

/** Posts are taken meanwhile. */
const TURN_MS = 5

const text = () => orNull(Type.String())
const Explained = Type.Object(
  {
    index: Type.Integer({ minimum: 0 }),
    status: Type.Enum(['prepared', 'refused']),
    event_name: text(),
    event_id: text(),
    reason: text(),
    path: text(),
    message: text(),
    warnings: Type.Array(
      Type.Object({ code: Type.String(), path: Type.String(), message: Type.String() }, closed),
    ),
    fields: Type.Array(
      Type.Object(
        {
          path: Type.String(),
          field: Type.String(),
          given: Type.String({ description: 'Masked.' }),
          spelled: orNull(Type.String({ description: 'Masked; null when it is dropped, or came hashed.' })),
          hash: orNull(Type.String({ description: 'What is sent; null when dropped, or sent as text.' })),
          note: text(),
        },
        closed,
      ),
    ),
    json: orNull(Type.String({ description: 'The exact text that Pinterest would get; null when refused.' })),
  },
  closed,
)

const schema = {
  tags: ['events'],
  summary: 'What would be sent for these events; sends and stores nothing',
  body: Body,
  response: answers({
    200: Type.Object({ ad_account_id: AdAccountId, events: Type.Array(Explained) }, closed),
  }),
}

export const explainRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, options) => {
  const { vault, clock, maxEventAgeMs, bodyLimitBytes } = options

  app.post('/explain', { schema, bodyLimit: bodyLimitBytes }, async (request) => {
    const { ad_account_id, data, test: isTest = false } = request.body
    const account = vault.account(ad_account_id)
    if (account === undefined) throw new NotFound()
    const { country: accountCountry, dobFormat } = account
    const context = { nowMs: clock.wallMs(), accountCountry, dobFormat, maxEventAgeMs, isTest }
    const events = []
    let turnStartedMs = performance.now()
    for (const [index, event] of data.entries()) {
      if (performance.now() - turnStartedMs > TURN_MS) {
        await nextTurn()
        turnStartedMs = performance.now()
      }
      events.push({ index, ...explainEvent(event, context) })
    }
    return { ad_account_id, events }
  })
}
