/** The totals: received = delivered + rejected + expired + filtered + queued + duplicate, in events, since the store began. */
import { Type, type Static } from 'typebox'
import { AdAccountId, answers, closed, Count } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Query = Type.Object(
  {
    ad_account_id: Type.Optional(AdAccountId),
    /** Only test events, or only live ones; both when absent. */
    test: Type.Optional(Type.Enum(['true', 'false'])),
  },
  closed,
)

/** Events, since the store began. */
export const Totals = Type.Object(
  {
    received: Count,
    delivered: Count,
    rejected: Count,
    expired: Count,
    filtered: Type.Integer({
      minimum: 0,
      description: 'Not sent, as the account wants it, or erased by an operator.',
    }),
    queued: Count,
    duplicate: Count,
    invalid: Type.Integer({ minimum: 0, description: 'By the relay itself; not part of `received`.' }),
  },
  closed,
)
export type TotalsAnswer = Static<typeof Totals>

export const totalsRoutes: AdminRoutes = async (app, { store }) => {
  const schema = {
    tags: ['events'],
    summary: 'The totals: received = delivered + rejected + expired + filtered + queued + duplicate',
    querystring: Query,
    response: answers({ 200: Totals }),
  }
  app.get('/totals', { schema }, async (request) => {
    const { ad_account_id: adAccountId, test } = request.query
    return store.totals({
      ...(adAccountId === undefined ? {} : { adAccountId }),
      ...(test === undefined ? {} : { isTest: test === 'true' }),
    })
  })
}
