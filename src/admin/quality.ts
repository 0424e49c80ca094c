/** What Pinterest says of an account's events: its own Event Quality Score, fetched once a day and kept. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import type { AdminOptions } from './app.ts'
import { showFailure, showTime } from './show.ts'

const Params = Type.Object({ id: Type.String({ pattern: '^\\d{1,18}$' }) })

export const qualityRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { vault }) => {
  app.get('/accounts/:id/quality', { schema: { params: Params } }, async (request) => {
    const { id: adAccountId } = request.params
    if (vault.account(adAccountId) === undefined) throw new NotFound()
    const quality = vault.quality(adAccountId)
    return {
      ad_account_id: adAccountId,
      pinterest: {
        fetched_at: showTime(quality?.fetchedAtMs),
        scores: JSON.parse(quality?.scores ?? '[]') as unknown,
        last_failure: showFailure(quality?.failure),
      },
    }
  })
}
