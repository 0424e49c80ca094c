/** Sources: shops whose webhooks are taken. Registered, changed, listed, removed; what became of their last webhooks. */
import { Type, type Static } from '../type.ts'
import { InvalidRequest, NoSuch } from '../errors.ts'
import { DEFAULT_EVENTS, EXPRESSION_STOPPED, SOURCE_KINDS } from '../sources/source.ts'
import type { WebhookEntry } from '../ingest/webhook-log.ts'
import type { Source } from '../vault/vault.ts'
import { AdAccountId, NoContent, sendOrFilter, type RecordOf } from './answers.ts'
import type { AdminOptions, AdminRoutes } from './options.ts'
import { Consent, Events, readSettings, SourceBody, SourceId } from './source-settings.ts'

const Params = Type.Object({ source_id: SourceId })

const Webhook = Type.Closed({
  at: Type.Time,
  topic: Type.OrNull(Type.String()),
  delivery_id: Type.OrNull(Type.String()),
  outcome: Type.String({
    description: 'queued, delivered, rejected, expired, filtered, duplicate, invalid, refused or ping.',
  }),
  reason: Type.OrNull(Type.String({ description: 'Never a value of the payload.' })),
  events: Type.Count,
})
const SourceView = Type.Closed({
  id: SourceId,
  kind: Type.Enum([...SOURCE_KINDS]),
  ad_account_id: AdAccountId,
  label: Type.String(),
  path: Type.String({ description: 'On the public port: the address to give to the shop.' }),
  set_up: Type.String({ description: 'What to do in the shop, in words.' }),
  secret_set_at: Type.Time,
  previous_secret: Type.Boolean({ description: 'Whether the secret before it is valid, too.' }),
  events: Events,
  event_id: Type.OrNull(Type.String()),
  content_id: Type.OrNull(Type.String()),
  consent: Consent,
  bots: Type.OrNull(sendOrFilter()),
  test: Type.Boolean(),
  point_of_sale: sendOrFilter(),
  renewals: sendOrFilter(),
  money: Type.Enum(['shop', 'presentment']),
  paid_statuses: Type.Array(Type.String()),
  signature: Type.OrNull(
    Type.Closed({
      header: Type.String(),
      algorithm: Type.String(),
      encoding: Type.String(),
      prefix: Type.String(),
      timestamp_header: Type.OrNull(Type.String()),
      tolerance_seconds: Type.Integer(),
    }),
  ),
  expression: Type.OrNull(Type.String()),
  created_at: Type.Time,
  problems: Type.Array(Type.String(), { description: 'In words; none: nothing is to be done.' }),
  webhooks: Type.Array(Webhook, { description: 'The last ones that this process took, newest first.' }),
})
const Sources = Type.Closed({ sources: Type.Array(SourceView) })
export type SourceAnswer = Static<typeof SourceView>
export type SourcesAnswer = Static<typeof Sources>

const SET_UP: Readonly<Record<(typeof SOURCE_KINDS)[number], string>> = {
  shopify:
    'In Shopify: Settings, Notifications, Webhooks, Create webhook: event Order creation, format JSON, this URL. Again for Order payment. Then Send test notification.',
  woocommerce:
    'In WordPress: WooCommerce, Settings, Advanced, Webhooks, Add webhook: status Active, topic Order created, this delivery URL, the secret. Again for Order updated.',
  custom: 'Have the shop post its webhooks there.',
}

export const sourceRoutes: AdminRoutes = async (app, options) => {
  const { vault, findFault } = options
  const show = (sourceId: string) => showSource(findSource(options, sourceId), options)

  const putting = {
    summary: 'Register a source, rotate its secret, or change its settings',
    description: 'What is absent stays as it is; null goes back to the default.',
    params: Params,
    body: SourceBody,
    response: { 200: SourceView, 201: SourceView },
  }
  app.put('/sources/:source_id', { schema: putting }, async (request, reply) => {
    const { source_id: sourceId } = request.params
    const { body } = request
    const fault = body.expression === undefined ? undefined : await findFault(body.expression)
    if (fault !== undefined) throw new InvalidRequest(`expression: ${fault}.`)
    const outcome = await vault.putSource({
      sourceId,
      settings(before) {
        const settings = readSettings(body, before)
        if (vault.account(settings.adAccountId) !== undefined) return settings
        throw new InvalidRequest('ad_account_id: there is no such account.')
      },
      secret: body.secret,
      dropsPreviousSecret: body.drop_previous_secret === true,
    })
    if (outcome === 'secret_missing') throw new InvalidRequest('secret: is required for a new source.')
    return reply.code(outcome === 'added' ? 201 : 200).send(show(sourceId))
  })

  const listing = { summary: 'All sources, with their last webhooks', response: { 200: Sources } }
  app.get('/sources', { schema: listing }, async () => ({
    sources: vault.sources().map((source) => showSource(source, options)),
  }))

  const reading = { summary: 'One source', params: Params, response: { 200: SourceView } }
  app.get('/sources/:source_id', { schema: reading }, async (request) => show(request.params.source_id))

  const removing = {
    summary: 'Remove a source: its webhooks get 404 from then on',
    params: Params,
    response: { 204: NoContent },
  }
  app.delete('/sources/:source_id', { schema: removing }, async (request, reply) => {
    const { source_id: id } = request.params
    if (!(await vault.deleteSource(id))) throw new NoSuch(`source ${id}`)
    return reply.code(204).send()
  })
}

export function findSource({ vault }: Pick<AdminOptions, 'vault'>, sourceId: string): Source {
  const source = vault.source(sourceId)
  if (source === undefined) throw new NoSuch(`source ${sourceId}`)
  return source
}

function problemsOf(
  { sourceId, adAccountId, options }: Source,
  { vault, webhookLog }: Pick<AdminOptions, 'vault' | 'webhookLog'>,
): string[] {
  const problems: string[] = []
  if (vault.account(adAccountId) === undefined)
    problems.push(
      `its account ${adAccountId} is not registered: its events wait, and grow too old. Register the account, or remove the source: relay source rm ${sourceId}`,
    )
  const others = vault
    .sources()
    .filter(
      (other) =>
        options.kind === 'woocommerce' &&
        other.options.kind === options.kind &&
        other.adAccountId === adAccountId &&
        other.sourceId !== sourceId &&
        other.options.eventId === undefined,
    )
  if (options.eventId === undefined && others.length > 0) {
    const names = others.map((other) => other.sourceId).join(', ')
    problems.push(
      `its event ids are the numbers of orders, as those of ${names}: orders with one number would be taken for duplicates. Set event_id, such as "${sourceId}-{id}"`,
    )
  }
  const webhooks = webhookLog.of(sourceId)
  const last = webhooks.find(({ outcome }) => outcome !== 'refused' && outcome !== 'ping')
  const lost = lostOf(webhooks)
  if (last?.reason === EXPRESSION_STOPPED)
    problems.push(`${EXPRESSION_STOPPED}; its webhooks wait for one another. Change it`)
  else if (lost.length >= LOST_IN_A_ROW)
    problems.push(
      `no event could be made of its last ${lost.length} webhooks, which are lost: ${lost[0]!.reason ?? 'invalid'}`,
    )
  return problems
}

/** Fewer may be odd orders; more would be noticed too late in a small shop. */
const LOST_IN_A_ROW = 3

/** Webhooks that were lost since the last one that was not, the newest first. */
function lostOf(webhooks: readonly WebhookEntry[]): readonly WebhookEntry[] {
  const counted = webhooks.filter(({ isLost }) => isLost !== undefined)
  const kept = counted.findIndex(({ isLost }) => !isLost)
  return counted.slice(0, kept === -1 ? undefined : kept)
}

function showSource(source: Source, base: AdminOptions): RecordOf<SourceAnswer> {
  const { vault, webhookLog } = base
  const { sourceId, options } = source
  return {
    ...source,
    ...options,
    id: sourceId,
    setUp: SET_UP[options.kind],
    path: `/sources/${sourceId}`,
    previousSecret: vault.secretsOf(sourceId)!.length > 1,
    events: { ...DEFAULT_EVENTS[options.kind], ...options.events },
    test: options.isTest,
    problems: problemsOf(source, base),
    webhooks: webhookLog.of(sourceId),
  }
}
