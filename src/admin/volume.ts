/** Whether each account sends as many events of each name as it used to. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { VolumeRow } from '../telemetry/volume-watch.ts'
import { AdAccountId, answers, closed, Count, orNull, Time } from './answers.ts'
import type { AdminOptions } from './app.ts'

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

const schema = {
  tags: ['insight'],
  summary: 'Whether each account sends as many events of each name as it used to; drops and surges first',
  querystring: Query,
  response: answers({ 200: Type.Object({ volume: Type.Array(Row) }, closed) }),
}

export const volumeRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { volumeWatch }) => {
  app.get('/volume', { schema }, async (request) => ({
    volume: volumeWatch.rows({ adAccountId: request.query.ad_account_id }).map(show),
  }))
}

function show({
  adAccountId,
  eventName,
  state,
  sinceMs,
  observed,
  expected,
  windowMinutes,
  hours,
}: VolumeRow) {
  return {
    ad_account_id: adAccountId,
    event_name: eventName,
    state,
    since: new Date(sinceMs).toISOString(),
    observed,
    expected: expected ?? null,
    window_minutes: windowMinutes,
    hours,
  }
}
