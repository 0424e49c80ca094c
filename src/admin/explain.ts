/**
 * What would be sent to Pinterest for these events. Nothing is sent, stored or logged; the answer holds hashes, masked
 * values, and the JSON as Pinterest would get it.
 */
import type { FastifySchemaCompiler } from 'fastify'
import { Type, type Static } from '../type.ts'
import { InvalidRequest } from '../errors.ts'
import { namedTopic } from '../sources/source.ts'
import { preparingOf } from '../vault/records.ts'
import type { Source } from '../vault/vault.ts'
import { findAccount } from './account-view.ts'
import { EXAMPLE_EVENT } from '../ingest/describe.ts'
import { AdAccountId, IsTest } from './answers.ts'
import type { AdminRoutes } from './options.ts'
import { SourceId } from './source-settings.ts'
import { findSource } from './sources.ts'

const Query = Type.Closed({
  ad_account_id: Type.Optional(AdAccountId),
  source: Type.Optional(SourceId),
  topic: Type.Optional(
    Type.String({ maxLength: 100, description: 'With `source`: what the shop calls the webhook.' }),
  ),
  headers: Type.Optional(
    Type.String({
      maxLength: 8192,
      description: 'With `source`: more headers of the webhook, as a JSON object.',
    }),
  ),
  /** As test events, which may have any age. */
  test: IsTest,
})

/** Read in the engine; described here. */
const Body = Type.Object(
  { data: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 1000 }) },
  {
    description: 'As a storefront posts it; with `source` as the shop does.',
    examples: [{ data: [EXAMPLE_EVENT] }],
  },
)

const text = () => Type.OrNull(Type.String())
const Explained = Type.Closed({
  index: Type.Integer({ minimum: 0 }),
  status: Type.Enum(['prepared', 'filtered', 'invalid']),
  event_name: text(),
  event_id: text(),
  reason: text(),
  path: text(),
  message: text(),
  warnings: Type.Array(Type.Closed({ code: Type.String(), path: Type.String(), message: Type.String() })),
  fields: Type.Array(
    Type.Closed({
      path: Type.String(),
      field: Type.String(),
      given: Type.String({ description: 'Masked.' }),
      normalized: Type.OrNull(
        Type.String({ description: 'Masked; null when it is dropped, or came hashed.' }),
      ),
      hash: Type.OrNull(Type.String({ description: 'What is sent; null when dropped, or sent as text.' })),
      note: text(),
    }),
  ),
  json: Type.OrNull(
    Type.String({ description: 'The exact text that Pinterest would get; null when invalid or filtered.' }),
  ),
})

const Answer = Type.Closed({ ad_account_id: AdAccountId, events: Type.Array(Explained) })
export type ExplainAnswer = Static<typeof Answer>

export const explainRoutes: AdminRoutes = async (app, options) => {
  const { vault, clock, explain, settings } = options

  const schema = {
    summary: 'What would be sent for these events, or a webhook of a source; sends and stores nothing',
    querystring: Query,
    body: Body,
    // The engine writes it.
    response: { 200: Type.Unsafe<unknown>(Answer) },
  }

  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )

  const route = {
    config: { isAudited: false },
    schema,
    bodyLimit: settings.BODY_LIMIT_BYTES,
    // The engine reads the body.
    validatorCompiler: ((part) =>
      part.httpPart === 'body'
        ? (value: unknown) => ({ value })
        : app.validatorCompiler!(part)) satisfies FastifySchemaCompiler<unknown>,
  }
  app.post('/explain', route, async (request, reply) => {
    const { source: sourceId, test } = request.query
    const source = sourceId === undefined ? undefined : findSource(options, sourceId)
    const ad_account_id = source?.adAccountId ?? request.query.ad_account_id
    if (ad_account_id === undefined) throw new InvalidRequest('ad_account_id: is required, or source.')
    const account = findAccount(vault, ad_account_id)
    const body: unknown = request.body
    if (!Buffer.isBuffer(body)) throw new InvalidRequest('The body is empty.')
    const context = { ...preparingOf(account), nowMs: clock.wallMs(), isTest: test === 'true' }
    const { payload: events } = await explain({
      ...context,
      payload: body,
      ...(source && asWebhook(source, request.query)),
    })
    const head = Buffer.from(`{"ad_account_id":${JSON.stringify(ad_account_id)},"events":`)
    const answer = Buffer.concat([head, events, Buffer.from('}')])
    return reply.type('application/json; charset=utf-8').send(answer)
  })
}

/** As if it had come just now, signed. */
function asWebhook({ sourceId, bots, options }: Source, { topic, headers: more }: Static<typeof Query>) {
  const headers = { ...readHeaders(more), ...(topic === undefined ? {} : namedTopic(options.kind, topic)) }
  return {
    source: sourceId,
    webhook: { options, secrets: [], headers, oldestMs: 0 },
    ...(bots && { bots }),
  }
}

function readHeaders(json: string | undefined): Readonly<Record<string, string>> {
  if (json === undefined) return {}
  try {
    const headers = Object.entries(JSON.parse(json) as object)
    return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), String(value)]))
  } catch {
    throw new InvalidRequest('headers: must be a JSON object.')
  }
}
