/**
 * What operators did: `GET /audit` lists it, and every request that changes something is recorded before it is answered.
 * Never a body: only which route, which account or key, and how it ended.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type, type Static, type TSchema } from '../type.ts'
import { codeOf } from '../errors.ts'
import type { AuditEntry } from '../store/core/audit.ts'
import { answerOf, EventId, NextCursor, Cursor, PageLimit, readPage, type RecordOf } from './answers.ts'
import type { AdminOptions, AdminRoutes } from './options.ts'

const Query = Type.Closed({
  limit: Type.Optional(PageLimit),
  cursor: Type.Optional(Cursor),
  id: Type.Optional({
    ...EventId,
    description:
      'Of an event or an order: what was erased, replayed or purged by it since the master key was last changed.',
  }),
})

const Entry = Type.Closed({
  id: Type.Integer(),
  at: Type.Time,
  action: Type.String({
    description: 'A route; `replay`, `purge` or `erase`; with the counts `replayed`, `purged` or `erased`.',
  }),
  details: Type.Record(Type.String(), Type.Unknown()),
})

const Entries = Type.Closed({ entries: Type.Array(Entry), next_cursor: NextCursor })
export type AuditAnswer = Static<typeof Entries>

export const auditRoutes: AdminRoutes = async (app, { store }) => {
  const schema = {
    summary: 'What was changed through this port, newest first',
    querystring: Query,
    response: { 200: Entries },
  }
  app.get('/audit', { schema }, async (request) => {
    const { id } = request.query
    const { page, nextCursor } = await readPage(request.query, (query) =>
      store.auditTrail({ ...query, ...(id !== undefined && { ofId: id }) }),
    )
    return { entries: page, nextCursor }
  })
}

const DONE = { replay: 'replayed', purge: 'purged', erase: 'erased' }

type AuditOptions = Pick<AdminOptions, 'store' | 'clock' | 'log'>

/** Two entries, since a change without one would be worse than one without its change. The second has the counts. */
export async function auditRun<Schema extends TSchema>(
  options: AuditOptions,
  action: keyof typeof DONE,
  details: AuditEntry['details'],
  schema: Schema,
  run: () => Promise<RecordOf<Static<Schema>>>,
) {
  await options.store.addAudit({ atMs: options.clock.wallMs(), action, details })
  const counts = await run()
  const numbers = Object.entries(answerOf(schema, counts) as object).filter(
    ([, value]) => typeof value === 'number',
  )
  await auditChange(options, DONE[action], { ...details, ...Object.fromEntries(numbers) })
  return counts
}

/** The change is done: its answer must not be lost as well. */
async function auditChange(
  { store, clock, log }: AuditOptions,
  action: string,
  details: AuditEntry['details'],
): Promise<void> {
  try {
    await store.addAudit({ atMs: clock.wallMs(), action, details })
  } catch (error) {
    log.error({ code: codeOf(error), route: action }, 'audit entry not written')
  }
}

/** Must be called before the routes are registered. */
export function auditChanges(app: FastifyInstance, options: AuditOptions): void {
  app.decorateRequest('audited', undefined)
  app.addHook('onSend', async (request, { statusCode: status }) => {
    if (!mayHaveChanged(request, status)) return
    const { method, params, routeOptions, audited } = request
    const { id, key_id, source_id } = params as Readonly<Record<string, string | undefined>>
    const details = { ad_account_id: id, key_id, source: source_id, status, ...audited }
    await auditChange(options, `${method} ${routeOptions.url}`, details)
  })
}

/** What was refused changed nothing; what failed may have. */
function mayHaveChanged({ method, routeOptions, audited }: FastifyRequest, status: number): boolean {
  const { url, config } = routeOptions
  if (audited !== undefined) return true
  if (method === 'GET' || method === 'HEAD' || url === undefined || config.isAudited === false) return false
  return status >= 500 || status < 400
}
