/** By what Pinterest can match an account's events with people, and what to mend first. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { InvalidRequest } from '../errors.ts'
import { advise } from '../telemetry/advice.ts'
import { COUNTED, MOST_HOURS, type MatchQualityRow } from '../telemetry/match-quality.ts'
import { AdAccountId, answers, closed, Count } from './answers.ts'
import type { AdminOptions } from './app.ts'

const Query = Type.Object(
  {
    ad_account_id: Type.Optional(AdAccountId),
    hours: Type.Optional(Type.String({ pattern: '^\\d{1,2}$' })),
  },
  { additionalProperties: false },
)
const MOST_WORDS = 5
/** Those with the most events: more than a person reads. */
const MOST_ROWS = 1000

const Row = Type.Object(
  {
    ad_account_id: AdAccountId,
    event_name: Type.String(),
    events: Count,
    shares: Type.Record(Type.Enum([...COUNTED]), Type.Number({ minimum: 0, maximum: 1 })),
    top_warnings: Type.Array(Type.Object({ code: Type.String(), count: Count }, closed)),
    top_invalid_reasons: Type.Array(Type.Object({ reason: Type.String(), count: Count }, closed)),
    advice: Type.Array(Type.Object({ code: Type.String(), message: Type.String() }, closed)),
  },
  closed,
)

const schema = {
  tags: ['insight'],
  summary: 'By what Pinterest can match events with people, per event name, and what to mend first',
  querystring: Query,
  response: answers({ 200: Type.Object({ hours: Count, rows: Type.Array(Row) }, closed) }),
}

export const matchQualityRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { matchQuality }) => {
  app.get('/match-quality', { schema }, async (request) => {
    const hours = Number(request.query.hours ?? MOST_HOURS)
    if (hours < 1 || hours > MOST_HOURS) throw new InvalidRequest(`hours: must be 1 to ${MOST_HOURS}.`)
    const rows = matchQuality.rows({ adAccountId: request.query.ad_account_id, hours })
    return { hours, rows: rows.slice(0, MOST_ROWS).map(show) }
  })
}

function show(row: MatchQualityRow) {
  const { adAccountId, eventName, events, shares, warnings, invalidReasons } = row
  return {
    ad_account_id: adAccountId,
    event_name: eventName,
    events,
    shares: Object.fromEntries(
      Object.entries(shares).map(([name, share]) => [name, Number(share.toFixed(4))]),
    ),
    top_warnings: warnings.slice(0, MOST_WORDS).map(([code, count]) => ({ code, count })),
    top_invalid_reasons: invalidReasons.slice(0, MOST_WORDS).map(([reason, count]) => ({ reason, count })),
    advice: advise(row),
  }
}
