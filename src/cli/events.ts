/** `events`, `event ID`, `erase`: what became of events, as it was or as it comes, and erasing what waits of them. */
import type { ErasedAnswer, EventsAnswer } from '../admin/events.ts'
import type { DeadLettersAnswer } from '../admin/dead-letters.ts'
import type { KeysAnswer } from '../admin/keys.ts'
import { fieldsOf, queryOf, readPages, remedyFor, type Command, type Invocation } from './command.ts'
import { renderRows, renderSeconds, renderTable, type Cell, type Columns } from './table.ts'
import { CommandFailed, misused } from './terminal.ts'

type Event = EventsAnswer['events'][number]

const EVENTS_OF_AN_ID = 1000
const NO_EVENT =
  'no event with this id: it did not come, the trail no longer has it (TRAIL_HOURS, or its part of the store is full), or its id looked like customer data and was left out'
const NO_TRAIL = 'there is no event trail: TRAIL_HOURS is 0'

const accountOf = ({ ad_account_id: id, test }: Event) => (test ? `${id} (test)` : id)

const COLUMNS = {
  received: (event) => event.received_at,
  account: accountOf,
  event: (event) => event.event_name,
  'event id': (event) => event.event_id,
  order: (event) => event.order_id,
  outcome: (event) => event.outcome,
  reason: (event) => event.reason,
  tries: (event) => event.attempts,
  updated: (event) => event.updated_at,
} satisfies Columns<Event> & Record<string, (event: Event) => Cell>

const events: Command = {
  name: 'events',
  words:
    '[--order ID] [--event-id ID] [--account ID] [--event NAME] [--outcome WORD] [--source ID] [--live|--test] [--since TIME] [--until TIME] [--limit N] [--follow]',
  does: 'what became of events, newest first; --follow shows them as they come and change',
  async run(invocation) {
    if (invocation.options['follow'] === true) return follow(invocation)
    const { found, answer, note, isOff } = await findEvents(invocation)
    return { answer, text: renderTable(COLUMNS, found, isOff ? NO_TRAIL : 'no events'), note }
  },
}

const event: Command = {
  name: 'event',
  words: 'ID [--account ID]',
  does: 'what became of the event with this event id, or of the events of this order, step by step',
  async run(invocation) {
    const { admin, options, positionals } = invocation
    const [id] = positionals
    const ask = (by: object) => findEvents({ admin, options: { ...options, limit: EVENTS_OF_AN_ID, ...by } })
    const byId = await ask({ 'event-id': id })
    const byOrder = await ask({ order: id })
    // Without what their queues do: that may have changed between the two answers.
    const nameOf = (one: Event) => JSON.stringify({ ...one, queue: null })
    const known = new Set(byId.found.map(nameOf))
    const found = [...byId.found, ...byOrder.found.filter((one) => !known.has(nameOf(one)))]
    const deadLetters = found.some(isDead) ? await findDeadLetters(admin, id!) : []
    const { keys } = await admin.get<KeysAnswer>('/keys')
    const labels = new Map(keys.map((key) => [key.id, ` (${key.label})`]))
    const text = found
      .map((one) =>
        renderRows([
          ...rowsOf(one, labels),
          ...renderQueue(invocation, one),
          ...renderDeath(one, deadLetters),
        ]),
      )
      .join('\n\n')
    return {
      answer: { events: found },
      text: text || (byOrder.isOff ? NO_TRAIL : NO_EVENT),
      isPartial: found.length === 0,
    }
  },
}

const erase: Command = {
  name: 'erase',
  words: '--order ID|--event-id ID [--account ID] --yes',
  does: 'deletes what waits of events, in the queue and as dead letters, for good: they are not sent',
  async run({ options, admin }) {
    const fields = fieldsOf(options, ['yes'])
    if (!('order_id' in fields) && !('event_id' in fields)) throw misused('Give --order or --event-id.')
    if (options['yes'] !== true)
      throw misused('erase deletes for good. relay event ID shows what the id is of; then add --yes.')
    const answer = await admin.send<ErasedAnswer>('POST', '/events/erase', fields)
    const { queued, dead_letters: deadLetters, leased } = answer
    return {
      answer,
      text:
        queued + deadLetters + leased === 0
          ? 'nothing waits of it: relay event ID shows what became of it'
          : `erased: ${queued} queued, ${deadLetters} dead letters`,
      note: leased > 0 && `${leased} are being sent and were left alone: run this again in a minute`,
      isPartial: leased > 0,
    }
  },
}

export const eventCommands: readonly Command[] = [events, event, erase]

async function follow({ admin, options, isJson, terminal }: Invocation): Promise<undefined> {
  if (options['since'] !== undefined || options['until'] !== undefined) {
    throw misused('--follow begins now: leave --since and --until out.')
  }
  const query = queryOf(fieldsOf(options, ['follow']))
  terminal.report('following; Ctrl-C ends it')
  let left = Number(options['limit'] ?? Infinity)
  for await (const one of admin.follow<Event>(`/events/live${query}`)) {
    left -= 1
    const cells = Object.values(COLUMNS).map((column) => column(one))
    terminal.print(isJson ? JSON.stringify(one) : renderRows([cells]))
  }
  if (left > 0)
    throw new CommandFailed('The relay ended the stream: it stops, or a proxy closed the connection.')
}

async function findEvents(asked: Pick<Invocation, 'admin' | 'options'>) {
  const pages = await readPages<EventsAnswer, 'events'>(asked, '/events', 'events')
  return { ...pages, isOff: pages.last.trail_hours === 0 }
}

const isDead = ({ outcome }: Event) => outcome === 'rejected' || outcome === 'expired'

type DeadLetter = DeadLettersAnswer['dead_letters'][number]

async function findDeadLetters(admin: Invocation['admin'], id: string): Promise<readonly DeadLetter[]> {
  const ask = async (by: object) => {
    const path = `/dead-letters${queryOf({ ...by, limit: EVENTS_OF_AN_ID })}`
    return (await admin.get<DeadLettersAnswer>(path)).dead_letters
  }
  return [...(await ask({ event_id: id })), ...(await ask({ order_id: id }))]
}

/** What Pinterest said, which the trail does not have; nothing where the dead letter is gone. */
function renderDeath(one: Event, deadLetters: readonly DeadLetter[]): string[][] {
  const deadLetter = deadLetters.find(
    ({ ad_account_id: account, event_name: name, died_at: diedAt }) =>
      isDead(one) && account === one.ad_account_id && name === one.event_name && diedAt === one.updated_at,
  )
  if (deadLetter === undefined) return []
  const { id, status, message } = deadLetter
  const remedy = ['what to do', `repair the cause, then relay dead replay ${id} --yes`]
  // What is too old, a replay leaves where it is.
  return [['dead letter', `${id}: ${message}`], ...(status === 'rejected' ? [remedy] : [])]
}

function rowsOf(one: Event, labels: ReadonlyMap<string, string>): Cell[][] {
  const keyId = one.key_id ?? '-'
  return [
    ['event', one.event_name],
    ['event id', one.event_id],
    ['order', one.order_id],
    ['account', accountOf(one)],
    ['outcome', one.reason === null ? one.outcome : `${one.outcome}: ${one.reason}`],
    ['event time', one.event_time],
    ['from', one.source === null ? `key ${keyId}${labels.get(keyId) ?? ''}` : `source ${one.source}`],
    ['call', one.call_id],
    ...one.warnings.map((code, index) => ['warning', `${code}: ${one.warnings_mean[index]}`]),
    ...one.history.map(({ at, reason }) => [at, reason.replaceAll('_', ' ')]),
  ]
}

/** Why the event still waits. */
function renderQueue(invocation: Invocation, { queue, ad_account_id: id }: Event): string[][] {
  if (queue === null) return []
  const { status, means, failed_calls: failed, next_try_in_seconds: seconds, remedy } = queue
  const calls =
    failed && `${failed.count} since ${failed.since}, the last at ${failed.last_at}: ${failed.reason}`
  return [
    ['queue now', `${status}: ${means}`],
    ...(calls === null ? [] : [['failed calls', calls.replaceAll('_', ' ')]]),
    ...(seconds === null ? [] : [['next try in', renderSeconds(seconds)]]),
    ...(remedy === null ? [] : [['what to do', remedyFor(invocation, id, remedy)]]),
  ]
}
