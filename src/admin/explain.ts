/**
 * What would be sent to Pinterest for these events. Nothing is sent, stored or logged; the answer holds hashes, masked
 * values, and the JSON as Pinterest would get it.
 */
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { NotFound } from '../errors.ts'
import { explainEvent } from '../events/explain.ts'
import type { PrepareContext } from '../events/prepare.ts'
import { readBody, type ReadBody } from '../ingest/body.ts'
import { inTimeSlices } from '../ingest/in-time-slices.ts'
import { AdAccountId, answers, closed, orNull } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Body = Type.Object(
  {
    ad_account_id: AdAccountId,
    /** As a storefront posts them. */
    data: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 1000 }),
    /** As test events, which may have any age. */
    test: Type.Optional(Type.Boolean()),
  },
  closed,
)

declare module 'fastify' {
  interface FastifyRequest {
    /** Each is parsed when it is asked for. */
    eventsToExplain: (() => Iterable<unknown>) | undefined
  }
}

const text = () => orNull(Type.String())
const Explained = Type.Object(
  {
    index: Type.Integer({ minimum: 0 }),
    status: Type.Enum(['prepared', 'filtered', 'invalid']),
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
          normalized: orNull(
            Type.String({ description: 'Masked; null when it is dropped, or came hashed.' }),
          ),
          hash: orNull(Type.String({ description: 'What is sent; null when dropped, or sent as text.' })),
          note: text(),
        },
        closed,
      ),
    ),
    json: orNull(
      Type.String({ description: 'The exact text that Pinterest would get; null when refused or filtered.' }),
    ),
  },
  closed,
)

const Answer = Type.Object({ ad_account_id: AdAccountId, events: Type.Array(Explained) }, closed)
export type ExplainAnswer = Static<typeof Answer>

export const explainRoutes: AdminRoutes = async (app, options) => {
  const { vault, clock, maxEventAgeMs, bodyLimitBytes } = options

  const schema = {
    tags: ['events'],
    summary: 'What would be sent for these events; sends and stores nothing',
    body: Body,
    response: answers({ 200: Answer }),
  }

  app.decorateRequest('eventsToExplain', undefined)
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => {
      const { envelope, events } = await inTimeSlices(readAll(body))
      request.eventsToExplain = events
      return envelope
    },
  )

  app.post(
    '/explain',
    { config: { isAudited: false }, schema, bodyLimit: bodyLimitBytes },
    (request, reply) => {
      const { ad_account_id, test: isTest = false } = request.body
      const account = vault.account(ad_account_id)
      if (account === undefined) throw new NotFound()
      const { country: accountCountry, dobFormat, bots } = account
      const context = { nowMs: clock.wallMs(), accountCountry, dobFormat, maxEventAgeMs, isTest, bots }
      const parts = writeAnswer(ad_account_id, request.eventsToExplain!(), context)
      // In parts, as they are asked for: a thousand events can make many times the bytes of the post.
      return reply.type('application/json; charset=utf-8').send(Readable.from(parts))
    },
  )
}

/** Parses each event once, so that what is no JSON is refused before the answer begins. */
function* readAll(body: Buffer): Generator<void, ReadBody> {
  const read = yield* readBody(body)
  for (const _event of read.events()) yield
  return read
}

async function* writeAnswer(adAccountId: string, events: Iterable<unknown>, context: PrepareContext) {
  yield `{"ad_account_id":${JSON.stringify(adAccountId)},"events":[`
  let index = 0
  for (const event of events) {
    yield `${index === 0 ? '' : ','}${JSON.stringify({ index, ...explainEvent(event, context) })}`
    index += 1
    // Posts are taken meanwhile.
    await nextTurn()
  }
  yield ']}'
}
