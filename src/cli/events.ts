/** `events`, `event ID`, `erase`: what became of events, as it was or as it comes, and erasing what waits of them. */
import type { ErasedAnswer, EventsAnswer } from '../admin/events.ts'
import { firstOf, show, textOf, type Command, type Invocation } from './command.ts'
import { renderTable, type Cell } from './table.ts'
import { EXIT, misused } from './terminal.ts'

type Event = EventsAnswer['events'][number]

const IDS = {
  order: { type: 'string' },
  'event-id': { type: 'string' },
  account: { type: 'string' },
} as const
const FILTERS = {
  ...IDS,
  event: { type: 'string' },
  outcome: { type: 'string' },
  source: { type: 'string' },
  test: { type: 'boolean' },
  live: { type: 'boolean' },
} as const
/** By option. */
const QUERY_NAMES = {
  order: 'order_id',
  'event-id': 'event_id',
  account: 'ad_account_id',
  event: 'event_name',
  outcome: 'outcome',
  source: 'source',
  since: 'since',
  until: 'until',
} as const
const DEFAULT_LIMIT = 100
const PAGE_EVENTS = 1000
const NO_TRAIL = 'there is no event trail: TRAIL_HOURS is 0'

const events: Command = {
  name: 'events',
  words:
    '[--order ID] [--event-id ID] [--account ID] [--event NAME] [--outcome WORD] [--source ID] [--live|--test] [--since TIME] [--until TIME] [--limit N] [--follow]',
  does: 'what became of events, newest first; --follow shows them as they come and change',
  positionals: 0,
  options: {
    ...FILTERS,
    since: { type: 'string' },
    until: { type: 'string' },
    limit: { type: 'string' },
    follow: { type: 'boolean' },
  },
  async run(invocation) {
    if (invocation.options['follow'] === true) return follow(invocation)
    const { found, nextCursor, isOff } = await findEvents(
      invocation,
      readQuery(invocation.options),
      readLimit(invocation),
    )
    show(invocation, { events: found, next_cursor: nextCursor }, () =>
      found.length === 0 ? (isOff ? NO_TRAIL : 'no events') : renderTable(HEAD, found.map(cellsOfEvent)),
    )
    if (nextCursor !== null) invocation.terminal.tell('there are more: --limit shows more of them')
    return EXIT.done
  },
}

const event: Command = {
  name: 'event',
  words: 'ID [--account ID]',
  does: 'what became of the event with this event id, or of the events of this order, step by step',
  positionals: 1,
  options: { account: { type: 'string' } },
  async run(invocation) {
    const id = firstOf(invocation)
    const found: Event[] = []
    let isTrailOff = false
    for (const name of ['event_id', 'order_id']) {
      const query = readQuery(invocation.options)
      query.set(name, id)
      const { found: more, isOff } = await findEvents(invocation, query, PAGE_EVENTS)
      found.push(...more.filter((one) => !found.some((known) => isSame(known, one))))
      isTrailOff = isOff
    }
    show(invocation, { events: found }, () =>
      found.length === 0
        ? isTrailOff
          ? NO_TRAIL
          : 'no event with this id'
        : found.map(renderEvent).join('\n\n'),
    )
    return found.length === 0 ? EXIT.partly : EXIT.done
  },
}

const erase: Command = {
  name: 'erase',
  words: '--order ID|--event-id ID [--account ID] --yes',
  does: 'deletes what waits of events, in the queue and as dead letters, for good: they are not sent',
  positionals: 0,
  options: { ...IDS, yes: { type: 'boolean' } },
  async run(invocation) {
    const { options, admin, terminal } = invocation
    const query = readQuery(options)
    if (!query.has('order_id') && !query.has('event_id')) throw misused('Give --order or --event-id.')
    if (options['yes'] !== true) throw misused('erase deletes for good: add --yes.')
    const erased = await admin.send<ErasedAnswer>('POST', '/events/erase', Object.fromEntries(query))
    show(
      invocation,
      erased,
      () => `${erased.queued} queued events and ${erased.dead_letters} dead letters are erased`,
    )
    if (erased.leased === 0) return EXIT.done
    terminal.tell(`${erased.leased} are being sent and were left alone: run this again in a minute`)
    return EXIT.partly
  },
}

export const eventCommands: readonly Command[] = [events, event, erase]

async function follow({ admin, options, isJson, terminal }: Invocation): Promise<number> {
  if (options['since'] !== undefined || options['until'] !== undefined) {
    throw misused('--follow begins now: leave --since and --until out.')
  }
  const query = readQuery(options)
  const limit = textOf(options['limit'])
  if (limit !== undefined) query.set('limit', limit)
  for await (const one of admin.follow<Event>(`/events/live?${query.toString()}`)) {
    terminal.print(
      isJson
        ? JSON.stringify(one)
        : cellsOfEvent(one)
            .map((cell) => cell ?? '-')
            .join('  '),
    )
  }
  return EXIT.done
}

/** Page after page: a page may be short and still have a next one. */
async function findEvents({ admin }: Invocation, query: URLSearchParams, limit: number) {
  const found: Event[] = []
  let nextCursor: string | null = null
  let isOff: boolean
  do {
    query.set('limit', String(Math.min(PAGE_EVENTS, limit - found.length)))
    if (nextCursor !== null) query.set('cursor', nextCursor)
    const answer: EventsAnswer = await admin.get(`/events?${query.toString()}`)
    found.push(...answer.events)
    nextCursor = answer.next_cursor
    isOff = answer.trail_hours === 0
  } while (nextCursor !== null && found.length < limit)
  return { found, nextCursor, isOff }
}

function readQuery(options: Invocation['options']): URLSearchParams {
  const query = new URLSearchParams()
  for (const [option, name] of Object.entries(QUERY_NAMES)) {
    const text = textOf(options[option])
    if (text !== undefined) query.set(name, text)
  }
  if (options['test'] === true && options['live'] === true) throw misused('--test and --live are opposites.')
  if (options['test'] === true || options['live'] === true)
    query.set('test', String(options['test'] === true))
  return query
}

function readLimit({ options }: Invocation): number {
  const text = textOf(options['limit']) ?? String(DEFAULT_LIMIT)
  if (!/^[1-9]\d{0,14}$/.test(text)) throw misused('--limit takes a number, 1 or more.')
  return Number(text)
}

function isSame(one: Event, other: Event): boolean {
  return (
    one.event_id === other.event_id && one.received_at === other.received_at && one.outcome === other.outcome
  )
}

const HEAD = ['received', 'account', 'event', 'event id', 'order', 'outcome', 'reason', 'tries', 'updated']

function cellsOfEvent(one: Event): Cell[] {
  return [
    one.received_at,
    one.test ? `${one.ad_account_id} (test)` : one.ad_account_id,
    one.event_name,
    one.event_id,
    one.order_id,
    one.outcome,
    one.reason,
    one.attempts,
    one.updated_at,
  ]
}

function renderEvent(one: Event): string {
  const facts: readonly (readonly [string, Cell])[] = [
    ['event', one.event_name],
    ['event id', one.event_id],
    ['order', one.order_id],
    ['account', one.test ? `${one.ad_account_id} (test)` : one.ad_account_id],
    ['outcome', one.reason === null ? one.outcome : `${one.outcome}: ${one.reason}`],
    ['event time', one.event_time],
    ['from', one.source === null ? `key ${one.key_id ?? '-'}` : `source ${one.source}`],
    ['call', one.call_id],
    ...one.warnings.map((code, index) => ['warning', `${code}: ${one.warnings_mean[index]}`] as const),
    ...one.history.map(({ at, reason }) => [at, reason.replaceAll('_', ' ')] as const),
  ]
  return renderTable(['', ''], facts).split('\n').slice(1).join('\n')
}
