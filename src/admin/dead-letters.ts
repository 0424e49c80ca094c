/**
 * Dead letters: listed, queued again, deleted. Replays and purges run in small steps, between which commits pass, and
 * stop after a bounded number: `next_cursor` says where to continue. What dies again meanwhile is newer, and not met again.
 * A dry run of a replay takes the same steps, and only counts.
 */
import { Type, type Static } from '../type.ts'
import { InvalidRequest } from '../errors.ts'
import type { DeadLetter as StoredDeadLetter, DeadLetterFilter, DeadStatus } from '../store/store.ts'
import {
  AdAccountId,
  EventId,
  filterOf,
  IsTest,
  NextCursor,
  Cursor,
  idOfCursor,
  PageLimit,
  readPage,
} from './answers.ts'
import { auditRun } from './audit.ts'
import type { AdminRoutes } from './options.ts'

const DeadLetterStatus = Type.Enum(['rejected', 'expired'] satisfies DeadStatus[])
const Word = Type.String({ minLength: 1, maxLength: 200 })

const filter = {
  ad_account_id: Type.Optional(AdAccountId),
  status: Type.Optional(DeadLetterStatus),
  reason: Type.Optional(Word),
  event_name: Type.Optional(Word),
  event_id: Type.Optional(EventId),
  order_id: Type.Optional(EventId),
}
const query = { ...filter, test: IsTest, cursor: Type.Optional(Cursor) }
const GroupQuery = Type.Closed(query)
const Query = Type.Closed({ ...query, limit: Type.Optional(PageLimit) })
const Filter = Type.Closed({ ...filter, test: Type.Optional(Type.Boolean()) })

/** `limit`: how many dead letters one request handles at most. */
const body = {
  ids: Type.Optional(
    Type.Array(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), {
      minItems: 1,
      maxItems: 1000,
    }),
  ),
  filter: Type.Optional(Filter),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  cursor: Type.Optional(Cursor),
}
const Body = Type.Closed(body, { examples: [{ filter: { ad_account_id: '549755885175' } }] })
const ReplayBody = Type.Closed(
  {
    ...body,
    dry_run: Type.Optional(
      Type.Boolean({ description: 'Only counts what would be queued; `duplicates` are not known before.' }),
    ),
  },
  { examples: [{ filter: { reason: 'rejected_event', test: false }, dry_run: true }] },
)

const DeadLetter = Type.Closed({
  id: Type.Integer(),
  ad_account_id: AdAccountId,
  is_test: Type.Boolean(),
  event_name: Type.String(),
  event_id: Type.OrNull(Type.String({ description: "The sender's own; null where it may be personal." })),
  order_id: Type.OrNull(Type.String()),
  status: DeadLetterStatus,
  reason: Type.String({ description: 'A stable word.' }),
  message: Type.String({ description: "Pinterest's text, without the event's own values." }),
  attempts: Type.Count,
  first_seen_at: Type.Time,
  died_at: Type.Time,
  history: Type.Array(Type.Closed({ at: Type.Time, reason: Type.String() })),
})

const Listed = Type.Closed({ dead_letters: Type.Array(DeadLetter), next_cursor: NextCursor })
const DeadLetterGroup = Type.Closed({
  status: DeadLetterStatus,
  reason: Type.String(),
  message: Type.String(),
  dead_letters: Type.Count,
  accounts: Type.Count,
  too_old: Type.CountOf('Of these, a replay would leave so many.'),
  newest_died_at: Type.Time,
})
const Groups = Type.Closed({
  groups: Type.Array(DeadLetterGroup),
  dead_letters: Type.Count,
  next_cursor: NextCursor,
})
export type DeadLetterGroupsAnswer = Static<typeof Groups>
const Replayed = Type.Closed({
  replayed: Type.Count,
  duplicates: Type.Count,
  too_old: Type.Count,
  next_cursor: NextCursor,
})
const Purged = Type.Closed({ purged: Type.Count, next_cursor: NextCursor })
export type DeadLettersAnswer = Static<typeof Listed>

/** See `auditRun`. */
const config = { isAudited: false }

/** Messages are Pinterest's own texts, of any number: those of further groups are counted together, by reason. */
const MOST_GROUPS = 200
const OTHER_MESSAGES = '(other messages)'
const DEFAULT_RUN_DEAD_LETTERS = 10_000
const STEP_DEAD_LETTERS = 200
/** Opened and counted by one request: half a second's work. */
const GROUPED_DEAD_LETTERS = 20_000
const GROUP_PAGE = 1000
/** Bounds a run whose filter matches little. */
const RUN_STEPS = 500

export const deadLetterRoutes: AdminRoutes = async (app, options) => {
  const { store, delivery, clock, maxEventAgeMs } = options
  const oldestEventTimeS = () => Math.floor((clock.wallMs() - maxEventAgeMs) / 1000)
  const isTooOld = ({ isTest, eventTimeS }: StoredDeadLetter) => !isTest && eventTimeS < oldestEventTimeS()

  const listing = {
    summary: 'What Pinterest rejected or what grew too old, newest first',
    querystring: Query,
    response: { 200: Listed },
  }
  app.get('/dead-letters', { schema: listing }, async (request) => {
    const { limit, cursor, ...filter } = request.query
    const { page, nextCursor } = await readPage({ limit, cursor }, (query) =>
      store.deadLetters({ ...filterOf(filter), ...query }),
    )
    return { deadLetters: page, nextCursor }
  })

  const grouping = {
    summary: 'Dead letters by reason and message, the largest group first',
    querystring: GroupQuery,
    response: { 200: Groups },
  }
  app.get('/dead-letters/groups', { schema: grouping }, async (request) => {
    const { cursor, ...filter } = request.query
    const deadLetters: StoredDeadLetter[] = []
    let at = idOfCursor(cursor)
    for (let isOver = false; !isOver && deadLetters.length < GROUPED_DEAD_LETTERS;) {
      const found = await store.deadLetters({ ...filterOf(filter), ...at, limit: GROUP_PAGE })
      // Without what fills the memory.
      deadLetters.push(...found.map((deadLetter) => ({ ...deadLetter, history: [] })))
      isOver = found.length < GROUP_PAGE
      at = isOver ? {} : { beforeId: found.at(-1)!.id }
    }
    return {
      groups: groupsOf(deadLetters, isTooOld),
      deadLetters: deadLetters.length,
      nextCursor: at.beforeId?.toString(),
    }
  })

  const replaying = {
    summary: 'Queue dead letters again, or count what would be queued',
    body: ReplayBody,
    response: { 200: Replayed },
  }
  app.post('/dead-letters/replay', { config, schema: replaying }, async (request) => {
    const filter = readFilter(request.body)
    const none = { replayed: 0, duplicates: 0, tooOld: 0 }
    if (request.body.dry_run === true) {
      return run(request.body, none, async (step) => {
        const found = await store.deadLetters({ ...filter, ...step })
        const tooOld = found.filter(isTooOld).length
        const beforeId = found.length < step.limit ? undefined : found.at(-1)?.id
        return { replayed: found.length - tooOld, duplicates: 0, tooOld, beforeId }
      })
    }
    return auditRun(options, 'replay', askedOf(request.body), Replayed, () =>
      run(request.body, none, async (step) => {
        const times = { oldestEventTimeS: oldestEventTimeS(), nowMs: clock.wallMs() }
        const done = await store.replay({ ...filter, ...step, ...times })
        for (const queue of done.queues) delivery.wake(queue)
        return done
      }),
    )
  })

  const purging = { summary: 'Delete dead letters for good', body: Body, response: { 200: Purged } }
  app.post('/dead-letters/purge', { config, schema: purging }, async (request) => {
    const filter = readFilter(request.body)
    return auditRun(options, 'purge', askedOf(request.body), Purged, () =>
      run(request.body, { purged: 0 }, (step) => store.purge({ ...filter, ...step })),
    )
  })
}

/** Takes steps until nothing is left or the request's share is done; adds up what they counted. */
async function run<Name extends string>(
  { cursor, limit = DEFAULT_RUN_DEAD_LETTERS }: Static<typeof Body>,
  none: Readonly<Record<Name, number>>,
  takeStep: (step: {
    readonly limit: number
    readonly beforeId?: number
  }) => Promise<Readonly<Record<NoInfer<Name>, number>> & { readonly beforeId: number | undefined }>,
) {
  const counts: Record<Name, number> = { ...none }
  let left = limit
  let at = idOfCursor(cursor)
  for (let steps = 0; left > 0 && steps < RUN_STEPS; steps++) {
    const done = await takeStep({ ...at, limit: Math.min(left, STEP_DEAD_LETTERS) })
    for (const name of Object.keys(none) as Name[]) {
      counts[name] += done[name]
      left -= done[name]
    }
    const { beforeId } = done
    if (beforeId === undefined) return { ...counts, nextCursor: undefined }
    at = { beforeId }
  }
  return { ...counts, nextCursor: at.beforeId?.toString() }
}

/** For the audit, with the names of this port. */
const askedOf = ({ ids, filter }: Static<typeof Body>) => ({ ids, ...filter })

/** An empty filter must be explicit: a forgotten body must not purge everything. */
function readFilter({ ids, filter }: Static<typeof Body>): DeadLetterFilter {
  if (ids !== undefined && filter === undefined) return { ids }
  if (filter !== undefined && ids === undefined) return filterOf(filter)
  throw new InvalidRequest('ids, filter: exactly one of them is required; an empty filter means all.')
}

/** By why they died: what one cause did is repaired, replayed or deleted together. `deadLetters`: from new to old. */
function groupsOf(
  deadLetters: readonly StoredDeadLetter[],
  isTooOld: (deadLetter: StoredDeadLetter) => boolean,
) {
  const names = new Set<string>()
  const groups = Map.groupBy(deadLetters, ({ status, reason, message }) => {
    const name = JSON.stringify([status, reason, message])
    if (names.size < MOST_GROUPS) names.add(name)
    return names.has(name) ? name : JSON.stringify([status, reason, OTHER_MESSAGES])
  })
  return Array.from(groups, ([name, members]) => {
    const [, , message] = JSON.parse(name) as [string, string, string]
    const [newest] = members
    return {
      status: newest!.status,
      reason: newest!.reason,
      message,
      deadLetters: members.length,
      accounts: new Set(members.map(({ adAccountId }) => adAccountId)).size,
      tooOld: members.filter(isTooOld).length,
      newestDiedAtMs: newest!.diedAtMs,
    }
  }).toSorted((one, other) => other.deadLetters - one.deadLetters)
}
