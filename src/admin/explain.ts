/**
 * What would be sent to Pinterest for these events. Nothing is sent, stored or logged; the answer holds hashes, masked
 * values, and the JSON as Pinterest would get it.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import { explainEvent } from '../event/explain.ts'
import type { AdminOptions } from './app.ts'

const Body = Type.Object(
  {
    ad_account_id: Type.String({ pattern: '^\\d{1,18}$' }),
    /** As a storefront posts them. */
    data: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 1000 }),
    /** As test events, which may have any age. */
    test: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)

export const explainRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, options) => {
  const { vault, clock, maxEventAgeMs, bodyLimitBytes } = options

  app.post('/explain', { schema: { body: Body }, bodyLimit: bodyLimitBytes }, async (request) => {
    const { ad_account_id, data, test: isTest = false } = request.body
    const account = vault.account(ad_account_id)
    if (account === undefined) throw new NotFound()
    const { country: accountCountry, dobFormat } = account
    const context = { nowMs: clock.wallMs(), accountCountry, dobFormat, maxEventAgeMs, isTest }
    return {
      ad_account_id,
      events: data.map((event, index) => ({ index, ...explainEvent(event, context) })),
    }
  })
}
