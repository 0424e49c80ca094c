/** Whether each account sends as many events of each name as it used to. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { VolumeRow } from '../insight/volume-watch.ts'
import type { AdminOptions } from './app.ts'
import { showTime } from './show.ts'

const Query = Type.Object(
  { ad_account_id: Type.Optional(Type.String({ pattern: '^\\d{1,18}$' })) },
  { additionalProperties: false },
)

export const volumeRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { volumeWatch }) => {
  app.get('/volume', { schema: { querystring: Query } }, async (request) => ({
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
    since: showTime(sinceMs),
    observed,
    expected: expected ?? null,
    window_minutes: windowMinutes,
    hours,
  }
}
