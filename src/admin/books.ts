/** The books: received = delivered + rejected + expired + queued + duplicate, in events, since the store began. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { AdminOptions } from './app.ts'

const Query = Type.Object(
  {
    ad_account_id: Type.Optional(Type.String({ pattern: '^\\d{1,18}$' })),
    /** Only test events, or only live ones; both when absent. */
    test: Type.Optional(Type.Enum(['true', 'false'])),
  },
  { additionalProperties: false },
)

export const bookRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { store }) => {
  app.get('/books', { schema: { querystring: Query } }, async (request) => {
    const { ad_account_id: adAccountId, test } = request.query
    return store.books({
      ...(adAccountId === undefined ? {} : { adAccountId }),
      ...(test === undefined ? {} : { isTest: test === 'true' }),
    })
  })
}
