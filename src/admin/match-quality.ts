/** By what Pinterest can match an account's events with people, and what to improve first. */
import { Type, type Static } from 'typebox'
import { InvalidRequest } from '../errors.ts'
import { advise } from '../telemetry/advice.ts'
import { MOST_HOURS } from '../telemetry/match-quality.ts'
import type { Counted } from '../telemetry/tally.ts'
import { AdAccountId, answerOf, answers, closed, Count } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Query = closed({
  ad_account_id: Type.Optional(AdAccountId),
  hours: Type.Optional(Type.String({ pattern: '^\\d{1,2}$' })),
})
const MOST_WORDS = 5
/** Those with the most events: more than a person reads. */
const MOST_ROWS = 1000

const SHARES: Readonly<Record<Counted, { readonly label: string; readonly isBad?: true }>> = {
  em: { label: 'E-mail' },
  ph: { label: 'Phone' },
  external_id: { label: 'External id' },
  click_id: { label: 'Click id' },
  ip_and_user_agent: { label: 'IP and agent' },
  late: { label: 'Late', isBad: true },
  warned: { label: 'Warned', isBad: true },
  filtered: { label: 'Filtered', isBad: true },
  invalid: { label: 'Invalid', isBad: true },
}
const SHARE_NAMES = Object.keys(SHARES) as Counted[]

const Column = closed({
  name: Type.Enum(SHARE_NAMES),
  label: Type.String(),
  is_bad: Type.Boolean({ description: 'A high share is bad.' }),
})
const COLUMNS = SHARE_NAMES.map((name) => ({
  name,
  label: SHARES[name].label,
  is_bad: SHARES[name].isBad ?? false,
}))

const Counts = closed({
  ad_account_id: AdAccountId,
  event_name: Type.String(),
  events: Count,
  top_warnings: Type.Array(closed({ code: Type.String(), count: Count })),
  top_invalid_reasons: Type.Array(closed({ reason: Type.String(), count: Count })),
  advice: Type.Array(closed({ code: Type.String(), message: Type.String() })),
})
const Shares = Type.Unsafe<Record<Counted, number>>(
  Type.Record(Type.Enum(SHARE_NAMES), Type.Number({ minimum: 0, maximum: 1 })),
)
const Row = closed({ ...Counts.properties, shares: Shares })
const Answer = closed({ hours: Count, columns: Type.Array(Column), rows: Type.Array(Row) })
export type MatchQualityAnswer = Static<typeof Answer>

export const matchQualityRoutes: AdminRoutes = async (app, { matchQuality }) => {
  const schema = {
    summary: 'By what Pinterest can match events with people, per event name, and what to improve first',
    querystring: Query,
    response: answers({ 200: Answer }),
  }
  app.get('/match-quality', { schema }, async (request) => {
    const hours = Number(request.query.hours ?? MOST_HOURS)
    if (hours < 1 || hours > MOST_HOURS) throw new InvalidRequest(`hours: must be 1 to ${MOST_HOURS}.`)
    const rows = matchQuality
      .rows(hours, request.query.ad_account_id)
      .slice(0, MOST_ROWS)
      .map((row) => ({
        ...answerOf(Counts, {
          ...row,
          topWarnings: row.warnings.slice(0, MOST_WORDS).map(([code, count]) => ({ code, count })),
          topInvalidReasons: row.invalidReasons
            .slice(0, MOST_WORDS)
            .map(([reason, count]) => ({ reason, count })),
          advice: advise(row),
        }),
        shares: Object.fromEntries(
          Object.entries(row.shares).map(([name, share]) => [name, Number(share.toFixed(4))]),
        ),
      }))
    return { hours, columns: COLUMNS, rows }
  })
}
