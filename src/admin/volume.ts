/** Whether each account sends as many events of each name as it used to. */
import { Type, type Static } from 'typebox'
import { AdAccountId, answerOf, answers, closed, Count, orNull, Time } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Query = Type.Object({ ad_account_id: Type.Optional(AdAccountId) }, closed)

const Row = Type.Object(
  {
    ad_account_id: AdAccountId,
    event_name: Type.String(),
    state: Type.Enum(['learning', 'normal', 'drop', 'surge']),
    since: Time,
    observed: Type.Integer({ minimum: 0, description: 'Events within `window_minutes`.' }),
    expected: orNull(Type.Number({ minimum: 0, description: 'Null while learning.' })),
    window_minutes: Count,
    hours: Type.Array(Count, { maxItems: 24, description: 'Events per hour, the latest last.' }),
  },
  closed,
)
const Answer = Type.Object({ volume: Type.Array(Row) }, closed)
export type VolumeAnswer = Static<typeof Answer>

export const volumeRoutes: AdminRoutes = async (app, { volumeWatch }) => {
  const schema = {
    tags: ['insight'],
    summary: 'Whether each account sends as many events of each name as it used to; drops and surges first',
    querystring: Query,
    response: answers({ 200: Answer }),
  }
  app.get('/volume', { schema }, async (request) =>
    answerOf(Answer, { volume: volumeWatch.rows({ adAccountId: request.query.ad_account_id }) }),
  )
}
