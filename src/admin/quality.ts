/** What Pinterest says of an account's events: its own Event Quality Score, fetched once a day and kept. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import { Score, type QualityScore } from '../pinterest/quality-score.ts'
import { AdAccountId, answers, closed, Failure, orNull, Time } from './answers.ts'
import type { AdminOptions } from './app.ts'
import { showFailure, showTime } from './show.ts'

const Params = Type.Object({ id: AdAccountId })

const Answer = Type.Object(
  {
    ad_account_id: AdAccountId,
    pinterest: Type.Object(
      { fetched_at: orNull(Time), scores: Type.Array(Score), last_failure: Failure },
      closed,
    ),
  },
  closed,
)

const schema = {
  tags: ['insight'],
  summary: "Pinterest's own Event Quality Score, fetched daily",
  params: Params,
  response: answers({ 200: Answer }),
}

export const qualityRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { vault }) => {
  app.get('/accounts/:id/quality', { schema }, async (request) => {
    const { id: adAccountId } = request.params
    if (vault.account(adAccountId) === undefined) throw new NotFound()
    const quality = vault.quality(adAccountId)
    return {
      ad_account_id: adAccountId,
      pinterest: {
        fetched_at: showTime(quality?.fetchedAtMs),
        scores: JSON.parse(quality?.scores ?? '[]') as QualityScore[],
        last_failure: showFailure(quality?.failure),
      },
    }
  })
}
