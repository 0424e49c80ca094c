/** How events do: the totals, match quality, Pinterest's own Event Quality Score, their volume, and the metrics. */
import { Type, type Static } from '../type.ts'
import { Score } from '../pinterest/quality-score.ts'
import { advise } from '../telemetry/advice.ts'
import { COUNTED, isIdentifier, MOST_HOURS, type Counted } from '../telemetry/tally.ts'
import { findAccount } from './account-view.ts'
import { AccountParams, AdAccountId, camelOf, Failure, filterOf, IsTest, textOf } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const MatchQuery = Type.Closed({
  ad_account_id: Type.Optional(AdAccountId),
  hours: Type.Optional(textOf('^([1-9]|1\\d|2[0-4])$', 'must be 1 to 24')),
})
const MOST_WORDS = 5
/** Those with the most events: more than a person reads. */
const MOST_ROWS = 1000

const LABELS: Readonly<Record<Counted, string>> = {
  em: 'E-mail',
  ph: 'Phone',
  external_id: 'External id',
  click_id: 'Click id',
  ip_and_user_agent: 'IP and agent',
  late: 'Late',
  warned: 'Warned',
  filtered: 'Filtered',
  invalid: 'Invalid',
}
const Column = Type.Closed({
  name: Type.Enum([...COUNTED]),
  label: Type.String(),
  is_bad: Type.Boolean({ description: 'A high share is bad.' }),
})
const COLUMNS = COUNTED.map((name) => ({ name, label: LABELS[name], isBad: !isIdentifier(name) }))

const MatchRow = Type.Closed({
  ad_account_id: AdAccountId,
  event_name: Type.String(),
  events: Type.Count,
  top_warnings: Type.Array(Type.Closed({ code: Type.String(), count: Type.Count })),
  top_invalid_reasons: Type.Array(Type.Closed({ reason: Type.String(), count: Type.Count })),
  advice: Type.Array(Type.Closed({ code: Type.String(), message: Type.String() })),
  shares: Type.Unsafe<Record<Counted, number>>(
    Type.Record(Type.Enum([...COUNTED]), Type.Number({ minimum: 0, maximum: 1 })),
  ),
})
const MatchQuality = Type.Closed({
  hours: Type.Count,
  columns: Type.Array(Column),
  rows: Type.Array(MatchRow),
})
export type MatchQualityAnswer = Static<typeof MatchQuality>

/** Fetched once a day, and kept. */
const Quality = Type.Closed({
  ad_account_id: AdAccountId,
  pinterest: Type.Closed({
    fetched_at: Type.OrNull(Type.Time),
    last_failure: Failure,
    scores: Type.Array(Score),
  }),
})

const VolumeQuery = Type.Closed({
  ad_account_id: Type.Optional(AdAccountId),
  /** 24 by default. */
  hours: Type.Optional(textOf('^([1-9]\\d?|1[0-5]\\d|16[0-8])$', 'must be 1 to 168')),
})

const VolumeRow = Type.Closed({
  ad_account_id: AdAccountId,
  event_name: Type.String(),
  state: Type.Enum(['learning', 'normal', 'drop', 'surge']),
  since: Type.Time,
  observed: Type.CountOf('Events within `window_minutes`.'),
  expected: Type.OrNull(Type.Number({ minimum: 0, description: 'Null while learning.' })),
  window_minutes: Type.Count,
  hours: Type.Array(Type.Count, { maxItems: 168, description: 'Events per hour, the latest last.' }),
})
const Volume = Type.Closed({ volume: Type.Array(VolumeRow) })
export type VolumeAnswer = Static<typeof Volume>

const TotalsQuery = Type.Closed({ ad_account_id: Type.Optional(AdAccountId), test: IsTest })

/** In events, since the store began. */
export const Totals = Type.Closed({
  received: Type.Count,
  delivered: Type.Count,
  rejected: Type.Count,
  expired: Type.Count,
  filtered: Type.CountOf('Not sent, as the account wants it, or erased by an operator.'),
  queued: Type.Count,
  duplicate: Type.Count,
  invalid: Type.CountOf('By the relay itself; not part of `received`.'),
})
export type TotalsAnswer = Static<typeof Totals>

export const totalsRoutes: AdminRoutes = async (app, { store }) => {
  const schema = {
    summary: 'The totals: received = delivered + rejected + expired + filtered + queued + duplicate',
    querystring: TotalsQuery,
    response: { 200: Totals },
  }
  app.get('/totals', { schema }, async (request) => store.totals(filterOf(request.query)))
}

export const insightRoutes: AdminRoutes = async (app, options) => {
  const { vault, streams, metrics, settings } = options

  const scraping = {
    summary: 'For Prometheus; without the admin token when METRICS_OPEN=true',
    response: { 200: { type: 'string' } },
  }
  app.get(
    '/metrics',
    { config: { isOpen: settings.METRICS_OPEN }, schema: scraping },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  )

  const scoring = {
    summary: "Pinterest's own Event Quality Score, fetched daily",
    params: AccountParams,
    response: { 200: Quality },
  }
  app.get('/accounts/:id/quality', { schema: scoring }, async (request) => {
    const { id: adAccountId } = request.params
    const quality = vault.quality(findAccount(vault, adAccountId).adAccountId)
    const { fetchedAtMs, failure: lastFailure, scores = [] } = quality ?? {}
    return { adAccountId, pinterest: { fetchedAtMs, lastFailure, scores: scores.map(camelOf) } }
  })

  const matching = {
    summary: 'By what Pinterest can match events with people, per event name, and what to improve first',
    querystring: MatchQuery,
    response: { 200: MatchQuality },
  }
  app.get('/match-quality', { schema: matching }, async (request) => {
    const hours = Number(request.query.hours ?? MOST_HOURS)
    const rows = streams
      .quality(hours, request.query.ad_account_id)
      .slice(0, MOST_ROWS)
      .map((row) => {
        const shares = Object.entries(row.shares).map(([name, share]) => [name, Number(share.toFixed(4))])
        return {
          ...row,
          topWarnings: row.warnings.slice(0, MOST_WORDS),
          topInvalidReasons: row.invalidReasons.slice(0, MOST_WORDS),
          advice: advise(row),
          shares: camelOf(Object.fromEntries(shares) as typeof row.shares),
        }
      })
    return { hours, columns: COLUMNS, rows }
  })

  const watching = {
    summary: 'Whether each account sends as many events of each name as it used to; drops and surges first',
    querystring: VolumeQuery,
    response: { 200: Volume },
  }
  app.get('/volume', { schema: watching }, async (request) => {
    const { ad_account_id: adAccountId, hours = 24 } = request.query
    return { volume: streams.volume(Number(hours), adAccountId) }
  })
}
