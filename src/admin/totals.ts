/** The totals: received = delivered + rejected + expired + filtered + queued + duplicate, in events, since the store began. */
import { Type, type Static } from 'typebox'
import { AdAccountId, answers, closed, Count, filterOf, IsTest } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Query = closed({ ad_account_id: Type.Optional(AdAccountId), test: IsTest })

/** Events, since the store began. */
export const Totals = closed({
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
})
export type TotalsAnswer = Static<typeof Totals>

export const totalsRoutes: AdminRoutes = async (app, { store }) => {
  const schema = {
    summary: 'The totals: received = delivered + rejected + expired + filtered + queued + duplicate',
    querystring: Query,
    response: answers({ 200: Totals }),
  }
  app.get('/totals', { schema }, async (request) => store.totals(filterOf(request.query)))
}
