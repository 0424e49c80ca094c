/** Whether each account sends as many events of each name as it used to. */
import { Type, type Static } from 'typebox'
import { InvalidRequest } from '../errors.ts'
import { AdAccountId, answerOf, answers, closed, Count, orNull, Time } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const MOST_HOURS = 168
const Query = closed({
  ad_account_id: Type.Optional(AdAccountId),
  /** 24 unless told otherwise. */
  hours: Type.Optional(Type.String({ pattern: '^\\d{1,3}$' })),
})

const Row = closed({
  ad_account_id: AdAccountId,
  event_name: Type.String(),
  state: Type.Enum(['learning', 'normal', 'drop', 'surge']),
  since: Time,
  observed: Type.Integer({ minimum: 0, description: 'Events within `window_minutes`.' }),
  expected: orNull(Type.Number({ minimum: 0, description: 'Null while learning.' })),
  window_minutes: Count,
  hours: Type.Array(Count, { maxItems: MOST_HOURS, description: 'Events per hour, the latest last.' }),
})
const Answer = closed({ volume: Type.Array(Row) })
export type VolumeAnswer = Static<typeof Answer>

export const volumeRoutes: AdminRoutes = async (app, { volumeWatch }) => {
  const schema = {
    summary: 'Whether each account sends as many events of each name as it used to; drops and surges first',
    querystring: Query,
    response: answers({ 200: Answer }),
  }
  app.get('/volume', { schema }, async (request) => {
    const { ad_account_id: adAccountId, hours = '24' } = request.query
    if (Number(hours) < 1 || Number(hours) > MOST_HOURS)
      throw new InvalidRequest(`hours: must be 1 to ${MOST_HOURS}.`)
    return answerOf(Answer, { volume: volumeWatch.rows({ adAccountId, hours: Number(hours) }) })
  })
}
