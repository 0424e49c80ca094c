/** Pinterest's own Event Quality Score of an account's events, fetched once a day and kept. */
import { Type } from 'typebox'
import { findAccount } from './account-view.ts'
import { Score, type QualityScore } from '../pinterest/quality-score.ts'
import { AccountParams, AdAccountId, answerOf, answers, closed, Failure, orNull, Time } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Fetched = Type.Object({ fetched_at: orNull(Time), last_failure: Failure }, closed)
const Answer = Type.Object(
  {
    ad_account_id: AdAccountId,
    pinterest: Type.Object({ ...Fetched.properties, scores: Type.Array(Score) }, closed),
  },
  closed,
)

export const qualityRoutes: AdminRoutes = async (app, { vault }) => {
  const schema = {
    tags: ['insight'],
    summary: "Pinterest's own Event Quality Score, fetched daily",
    params: AccountParams,
    response: answers({ 200: Answer }),
  }
  app.get('/accounts/:id/quality', { schema }, async (request) => {
    const { id: adAccountId } = request.params
    const quality = vault.quality(findAccount(vault, adAccountId).adAccountId)
    return {
      ad_account_id: adAccountId,
      pinterest: {
        ...answerOf(Fetched, { fetchedAtMs: quality?.fetchedAtMs, lastFailure: quality?.failure }),
        scores: JSON.parse(quality?.scores ?? '[]') as QualityScore[],
      },
    }
  })
}
