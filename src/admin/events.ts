/**
 * The event trail: what became of each event, found by its ids, and followed as it grows; and erasure, for a person's request.
 */
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Type, type Static } from '../type.ts'
import { InvalidRequest, NoSuch } from '../errors.ts'
import { WARNINGS, type WarningCode } from '../events/reasons.ts'
import { auditedId } from '../store/core/audit.ts'
import { isCursor, isWanted } from '../store/core/trail-search.ts'
import { OUTCOMES, type TrailEvent, type TrailFilter } from '../store/trail.ts'
import {
  AdAccountId,
  answerOf,
  answers,
  camelOf,
  EventId,
  filterOf,
  IsTest,
  NextCursor,
  DEFAULT_PAGE,
  PageLimit,
} from './answers.ts'
import type { AdminRoutes } from './options.ts'

const INSTANT = /^(\d{1,12}|\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?)$/
const Instant = Type.String({ maxLength: 40, description: 'Seconds since the epoch, or ISO 8601.' })

const filters = {
  event_id: Type.Optional(EventId),
  order_id: Type.Optional(EventId),
  ad_account_id: Type.Optional(AdAccountId),
  test: IsTest,
  event_name: Type.Optional(EventId),
  outcome: Type.Optional(Type.Enum([...OUTCOMES])),
  source: Type.Optional(EventId),
}
const Query = Type.Closed({
  ...filters,
  since: Type.Optional(Instant),
  until: Type.Optional(Instant),
  limit: Type.Optional(PageLimit),
  cursor: Type.Optional(Type.String({ maxLength: 32 })),
})
const LiveQuery = Type.Closed({ ...filters, limit: Type.Optional(PageLimit) })

const Event = Type.Closed({
  ad_account_id: AdAccountId,
  test: Type.Boolean(),
  event_name: Type.OrNull(Type.String()),
  event_id: Type.OrNull(Type.String({ description: "The sender's own; null where it may be personal." })),
  order_id: Type.OrNull(Type.String()),
  outcome: Type.Enum([...OUTCOMES]),
  reason: Type.OrNull(Type.String({ description: 'A stable word.' })),
  warnings: Type.Array(Type.String({ description: 'A stable word.' })),
  warnings_mean: Type.Array(Type.String({ description: 'The same, for people.' })),
  attempts: Type.Count,
  event_time: Type.OrNull(Type.Time),
  received_at: Type.Time,
  updated_at: Type.Time,
  source: Type.OrNull(Type.String()),
  key_id: Type.OrNull(Type.String()),
  call_id: Type.OrNull(Type.String({ description: 'As the log has it.' })),
  history: Type.Array(Type.Closed({ at: Type.Time, reason: Type.String() })),
})
const Found = Type.Closed({
  events: Type.Array(Event),
  next_cursor: NextCursor,
  trail_hours: Type.Integer({ minimum: 0, description: 'TRAIL_HOURS; 0: there is no event trail.' }),
})
export type EventsAnswer = Static<typeof Found>

const EraseBody = Type.Closed(
  {
    event_id: Type.Optional(EventId),
    order_id: Type.Optional(EventId),
    ad_account_id: Type.Optional(AdAccountId),
  },
  { examples: [{ order_id: '4711' }] },
)
const Erased = Type.Closed({
  queued: Type.Count,
  dead_letters: Type.Count,
  leased: Type.Integer({
    minimum: 0,
    description: 'Being sent, or about to be: left alone. Ask again in a minute, until it is 0.',
  }),
})
export type ErasedAnswer = Static<typeof Erased>

const FOLLOW_EVERY_MS = 500
/** Proxies end a connection that is silent for a minute. */
const SIGN_OF_LIFE_MS = 15_000

export const eventRoutes: AdminRoutes = async (app, { store, metrics, clock, settings }) => {
  const { TRAIL_HOURS: trailHours } = settings

  const finding = {
    summary: 'What became of events, newest first',
    description:
      'An answer may hold fewer events than asked for and still have a `next_cursor`: a search that takes long continues with it.',
    querystring: Query,
    response: answers({ 200: Found }),
  }
  app.get('/events', { schema: finding }, async (request) => {
    const { limit, cursor, since, until, ...rest } = request.query
    if (cursor !== undefined && !isCursor(cursor))
      throw new InvalidRequest('cursor: is not one of this route.')
    const { events, cursor: next } = await store.events({
      ...filterOf(rest),
      ...(since === undefined ? {} : { sinceMs: readInstant('since', since) }),
      ...(until === undefined ? {} : { untilMs: readInstant('until', until) }),
      ...(cursor === undefined ? {} : { cursor }),
      limit: Number(limit ?? DEFAULT_PAGE),
    })
    return answerOf(Found, { events: events.map(recordOf), nextCursor: next, trailHours })
  })

  let isClosing = false
  const streams = new Set<AbortController>()
  app.addHook('preClose', async () => {
    isClosing = true
    for (const stream of streams) stream.abort()
  })

  const following = {
    summary: 'Events as they come and change, as server-sent events, of this process',
    description: 'Each message is one event as `GET /events` has it. `limit`: the stream ends after so many.',
    querystring: LiveQuery,
    produces: ['text/event-stream'],
    response: answers({ 200: Type.String() }),
  }
  app.get('/events/live', { schema: following }, async (request, reply) => {
    if (trailHours === 0) throw new NoSuch('event trail: TRAIL_HOURS is 0')
    const { limit = Infinity, ...filter } = request.query
    const stream = new AbortController()
    streams.add(stream)
    if (isClosing) stream.abort()
    request.raw.once('close', () => stream.abort())
    reply.header('content-type', 'text/event-stream; charset=utf-8').header('cache-control', 'no-store')
    // A proxy must not buffer the stream.
    reply.header('x-accel-buffering', 'no')
    const lines = follow(filterOf(filter), Number(limit), stream.signal)
    return reply.send(Readable.from(lines).once('close', () => streams.delete(stream)))
  })

  async function* follow(filter: TrailFilter, limit: number, signal: AbortSignal): AsyncGenerator<string> {
    let left = limit
    let { position } = await store.trailChanges(undefined)
    let saidAtMs = clock.monotonicMs()
    yield ': events follow\n\n'
    while (left > 0 && !signal.aborted) {
      await pause(FOLLOW_EVERY_MS, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      const changes = await store.trailChanges(position)
      ;({ position } = changes)
      const events = changes.events.filter((event) => isWanted(event, filter)).slice(0, left)
      left -= events.length
      if (events.length > 0) {
        saidAtMs = clock.monotonicMs()
        yield events.map((event) => `data: ${JSON.stringify(answerOf(Event, recordOf(event)))}\n\n`).join('')
      } else if (clock.monotonicMs() - saidAtMs > SIGN_OF_LIFE_MS) {
        saidAtMs = clock.monotonicMs()
        yield ': no event\n\n'
      }
    }
  }

  const erasing = {
    summary: 'Erase the payloads of events by their ids, from the queue and from the dead letters',
    body: EraseBody,
    response: answers({ 200: Erased }),
  }
  app.post('/events/erase', { config: { isAudited: false }, schema: erasing }, async (request) => {
    const ids = request.body
    if (ids.event_id === undefined && ids.order_id === undefined)
      throw new InvalidRequest('event_id, order_id: one of them is required.')
    const nowMs = clock.wallMs()
    const what = { ...ids, event_id: auditedId(ids.event_id), order_id: auditedId(ids.order_id) }
    // First: an erasure without an entry would be worse than an entry without an erasure.
    await store.addAudit({ atMs: nowMs, action: 'erase', details: what })
    const erased = await store.erase({ ...camelOf(ids), nowMs })
    metrics.countEvents(ids.ad_account_id ?? 'other', 'filtered', erased.queued)
    const counts = answerOf(Erased, erased)
    await store.addAudit({ atMs: clock.wallMs(), action: 'erased', details: { ...what, ...counts } })
    return counts
  })
}

function recordOf({ isTest, eventTimeS, warnings, ...event }: TrailEvent) {
  return {
    ...event,
    test: isTest,
    eventTimeMs: eventTimeS === undefined ? undefined : eventTimeS * 1000,
    warnings,
    warningsMean: warnings.map((code) => WARNINGS[code as WarningCode]?.text ?? code),
  }
}

function readInstant(name: string, text: string): number {
  const atMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (Number.isNaN(atMs) || !INSTANT.test(text))
    throw new InvalidRequest(`${name}: must be seconds since the epoch, or a time as 2026-11-27T10:00:00Z.`)
  return atMs
}
