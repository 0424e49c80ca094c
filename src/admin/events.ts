/**
 * The event trail: what became of each event, found by its ids, and followed as it grows; and erasure, for a person's request.
 */
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Type, type Static } from '../type.ts'
import { InvalidRequest, NoSuch } from '../errors.ts'
import { WARNINGS, type WarningCode } from '../events/reasons.ts'
import { isCursor, isWanted } from '../store/core/trail-search.ts'
import { OUTCOMES, type TrailEvent, type TrailFilter, type TrailStore } from '../store/trail.ts'
import { describeQueue, QueueView } from './account-view.ts'
import { auditRun } from './audit.ts'
import {
  AdAccountId,
  answerOf,
  camelOf,
  EventId,
  filterOf,
  IsTest,
  NextCursor,
  DEFAULT_PAGE,
  PageLimit,
} from './answers.ts'
import type { AdminOptions, AdminRoutes } from './options.ts'

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
  attempts: Type.CountOf('Calls, counted with the outcome: 0 of an event that is queued.'),
  event_time: Type.OrNull(Type.Time),
  received_at: Type.Time,
  updated_at: Type.Time,
  source: Type.OrNull(Type.String()),
  key_id: Type.OrNull(Type.String()),
  call_id: Type.OrNull(Type.String({ description: 'As the log has it.' })),
  history: Type.Array(Type.Closed({ at: Type.Time, reason: Type.String() })),
  queue: Type.OrNull({
    ...QueueView,
    description: 'While the event is queued: what its queue does now, in the process that answers.',
  }),
})
const Found = Type.Closed({
  events: Type.Array(Event),
  next_cursor: NextCursor,
  trail_hours: Type.CountOf('TRAIL_HOURS; 0: there is no event trail.'),
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
  leased: Type.CountOf('Being sent, or about to be: left alone. Ask again in a minute, until it is 0.'),
})
export type ErasedAnswer = Static<typeof Erased>

const FOLLOW_EVERY_MS = 500
/** Proxies end a connection that is silent for a minute. */
const SIGN_OF_LIFE_MS = 15_000
/** Who has more than that to read misses what comes meanwhile. */
const MOST_UNREAD_BYTES = 1024 * 1024
const GREETING = ': events follow\n\n'

export const eventRoutes: AdminRoutes = async (app, options) => {
  const { store, delivery, metrics, clock, isAllowed } = options
  const { TRAIL_HOURS: trailHours } = options.settings

  const finding = {
    summary: 'What became of events, newest first',
    description:
      'An answer may hold fewer events than asked for and still have a `next_cursor`: a search that takes long continues with it.',
    querystring: Query,
    response: { 200: Found },
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
    return { events: events.map((event) => describeEvent(event, delivery)), nextCursor: next, trailHours }
  })

  const followers = createFollowers({ store, delivery, clock })
  app.addHook('preClose', async () => followers.end())

  const following = {
    summary: 'Events as they come and change, as server-sent events, of this process',
    description:
      'Each message is one event as `GET /events` has it. `limit`: the stream ends after so many. Who reads too slowly misses events.',
    querystring: LiveQuery,
    produces: ['text/event-stream'],
    response: { 200: Type.Unsafe<unknown>(Type.String()) },
  }
  app.get('/events/live', { schema: following }, async (request, reply) => {
    if (trailHours === 0) throw new NoSuch('event trail: TRAIL_HOURS is 0')
    const { limit = Infinity, ...filter } = request.query
    reply.header('content-type', 'text/event-stream; charset=utf-8').header('cache-control', 'no-store')
    // A proxy must not buffer the stream.
    reply.header('x-accel-buffering', 'no')
    const stream = followers.add(filterOf(filter), Number(limit), () => isAllowed(request))
    request.raw.once('close', () => stream.destroy())
    return reply.send(stream)
  })

  const erasing = {
    summary: 'Erase the payloads of events by their ids, from the queue and from the dead letters',
    body: EraseBody,
    response: { 200: Erased },
  }
  app.post('/events/erase', { config: { isAudited: false }, schema: erasing }, async (request) => {
    const ids = request.body
    if (ids.event_id === undefined && ids.order_id === undefined)
      throw new InvalidRequest('event_id, order_id: one of them is required.')
    const erased = await auditRun(options, 'erase', ids, Erased, () =>
      store.erase({ ...camelOf(ids), nowMs: clock.wallMs() }),
    )
    metrics.countEvents(ids.ad_account_id ?? 'other', 'filtered', erased.queued)
    return erased
  })
}

interface Follower {
  readonly stream: Readable
  readonly filter: TrailFilter
  readonly isAllowed: () => boolean
  left: number
  saidAtMs: number
}

/** One reading of the store, and one text of each event, for all who follow: they must not cost the posts their time. */
export function createFollowers({
  store,
  delivery,
  clock,
}: {
  readonly store: Pick<TrailStore, 'trailChanges'>
  readonly delivery: QueueStates
  readonly clock: AdminOptions['clock']
}) {
  const followers = new Set<Follower>()
  const ending = new AbortController()
  /** Undefined while nobody follows, or before the first reading. */
  let position: number | undefined
  let isServing = false

  function say(follower: Follower, text: string): void {
    follower.saidAtMs = clock.monotonicMs()
    follower.stream.push(text)
  }

  function notify(follower: Follower, messages: readonly (readonly [TrailEvent, string])[]): void {
    const { stream, filter, isAllowed, left, saidAtMs } = follower
    if (!isAllowed()) {
      end(follower)
      return
    }
    const wanted = messages.filter(([event]) => isWanted(event, filter)).slice(0, left)
    if (wanted.length > 0 && stream.readableLength < MOST_UNREAD_BYTES) {
      follower.left -= wanted.length
      say(follower, wanted.map(([, text]) => text).join(''))
    } else if (clock.monotonicMs() - saidAtMs > SIGN_OF_LIFE_MS) say(follower, ': no event\n\n')
    if (follower.left <= 0) end(follower)
  }

  function end(follower: Follower): void {
    followers.delete(follower)
    follower.stream.push(null)
  }

  async function serve(): Promise<void> {
    isServing = true
    try {
      position = (await store.trailChanges(undefined)).position
      for (const follower of followers) say(follower, GREETING)
      while (followers.size > 0) {
        await pause(FOLLOW_EVERY_MS, undefined, { signal: ending.signal })
        const changes = await store.trailChanges(position)
        ;({ position } = changes)
        const messages = changes.events.map(
          (event) =>
            [event, `data: ${JSON.stringify(answerOf(Event, describeEvent(event, delivery)))}\n\n`] as const,
        )
        for (const follower of followers) notify(follower, messages)
      }
    } catch (error) {
      for (const { stream } of followers) stream.destroy(error as Error)
      followers.clear()
    }
    position = undefined
    isServing = false
  }

  return {
    /** Ends after `limit` events, and when its session does. */
    add(filter: TrailFilter, limit: number, isAllowed = () => true): Readable {
      const stream = new Readable({ read() {} })
      if (ending.signal.aborted) {
        stream.push(null)
        return stream
      }
      const follower = { stream, filter, isAllowed, left: limit, saidAtMs: clock.monotonicMs() }
      followers.add(follower)
      stream.once('close', () => followers.delete(follower))
      if (position !== undefined) say(follower, GREETING)
      if (!isServing) void serve()
      return stream
    },
    /** At once: a store that hangs must not keep the relay from ending. */
    end(): void {
      ending.abort()
      for (const { stream } of followers) stream.push(null)
      followers.clear()
    },
  }
}

type QueueStates = Pick<AdminOptions['delivery'], 'queues'>

function describeEvent({ isTest, eventTimeS, warnings, ...event }: TrailEvent, delivery: QueueStates) {
  const queue =
    event.outcome === 'queued'
      ? delivery.queues(event.adAccountId).find((one) => one.isTest === isTest)
      : undefined
  return {
    ...event,
    test: isTest,
    eventTimeMs: eventTimeS === undefined ? undefined : eventTimeS * 1000,
    warnings,
    warningsMean: warnings.map((code) => WARNINGS[code as WarningCode]?.text ?? code),
    queue: queue && describeQueue(queue),
  }
}

function readInstant(name: string, text: string): number {
  const atMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (Number.isNaN(atMs) || !INSTANT.test(text))
    throw new InvalidRequest(`${name}: must be seconds since the epoch, or a time as 2026-11-27T10:00:00Z.`)
  return atMs
}
