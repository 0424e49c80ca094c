/** Pinterest's own Event Quality Score of an account's events, fetched once a day and kept. */
import { Type } from 'typebox'
import { findAccount } from './account-view.ts'
import { Score, type QualityScore } from '../pinterest/quality-score.ts'
import { AccountParams, AdAccountId, answerOf, answers, closed, Failure, orNull, Time } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Fetched = closed({ fetched_at: orNull(Time), last_failure: Failure })
const Answer = closed({
  ad_account_id: AdAccountId,
  pinterest: closed({ ...Fetched.properties, scores: Type.Array(Score) }),
})

export const qualityRoutes: AdminRoutes = async (app, { vault }) => {
  const schema = {
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
