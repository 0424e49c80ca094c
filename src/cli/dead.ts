/** `dead …`: dead letters, listed, queued again, deleted. */
import type { DeadLetterGroupsAnswer, DeadLettersAnswer } from '../admin/dead-letters.ts'
import { show, textOf, type Command, type Invocation } from './command.ts'
import { renderTable } from './table.ts'
import { EXIT, misused } from './terminal.ts'

const FILTERS = {
  account: { type: 'string' },
  reason: { type: 'string' },
  event: { type: 'string' },
  'event-id': { type: 'string' },
  order: { type: 'string' },
  status: { type: 'string' },
  test: { type: 'boolean' },
  live: { type: 'boolean' },
} as const
const FILTER_WORDS =
  '[--account ID] [--reason WORD] [--event NAME] [--event-id ID] [--order ID] [--status rejected|expired] [--live|--test]'
const DEFAULT_LIMIT = 100
/** What one request may ask for. */
const PAGE_DEAD_LETTERS = 1000
/** Dead letters per request of a long run: a second or so, then progress is told. */
const RUN_DEAD_LETTERS = 5000

const list: Command = {
  name: 'dead list',
  words: `${FILTER_WORDS} [--limit N]`,
  does: 'events that Pinterest rejected, or that grew too old, newest first',
  positionals: 0,
  options: { ...FILTERS, limit: { type: 'string' } },
  async run(invocation) {
    const { deadLetters, nextCursor } = await findDeadLetters(invocation)
    show(invocation, { dead_letters: deadLetters, next_cursor: nextCursor }, () =>
      deadLetters.length === 0
        ? 'no dead letters'
        : renderTable(
            ['id', 'account', 'event', 'event id', 'status', 'reason', 'tries', 'died', 'message'],
            deadLetters.map((deadLetter) => [
              deadLetter.id,
              deadLetter.ad_account_id,
              deadLetter.event_name,
              deadLetter.event_id,
              deadLetter.status,
              deadLetter.reason,
              deadLetter.attempts,
              deadLetter.died_at,
              deadLetter.message,
            ]),
          ),
    )
    if (nextCursor !== null) invocation.terminal.tell('there are more: --limit shows more of them')
    return EXIT.done
  },
}

const groups: Command = {
  name: 'dead groups',
  words: FILTER_WORDS,
  does: 'dead letters by reason and message, the largest group first',
  positionals: 0,
  options: FILTERS,
  async run(invocation) {
    const query = queryOf(invocation.options)
    const answer = await invocation.admin.get<DeadLetterGroupsAnswer>(
      `/dead-letters/groups?${query.toString()}`,
    )
    show(invocation, answer, () =>
      answer.groups.length === 0
        ? 'no dead letters'
        : renderTable(
            ['dead letters', 'accounts', 'status', 'reason', 'too old', 'newest', 'message'],
            answer.groups.map((group) => [
              group.dead_letters,
              group.accounts,
              group.status,
              group.reason,
              group.too_old,
              group.newest_died_at,
              group.message,
            ]),
          ),
    )
    if (answer.next_cursor !== null)
      invocation.terminal.tell(`the newest ${answer.dead_letters}; there are more`)
    return EXIT.done
  },
}

const replay: Command = {
  name: 'dead replay',
  words: `IDS|--all ${FILTER_WORDS} [--yes]`,
  does: 'queues dead letters again; without --yes only says how many; those that are too old stay; IDS is a list such as 17,18',
  positionals: -1,
  options: { ...FILTERS, all: { type: 'boolean' }, yes: { type: 'boolean' } },
  async run(invocation) {
    const isDryRun = invocation.options['yes'] !== true
    const total = await runThrough(invocation, '/dead-letters/replay', isDryRun ? { dry_run: true } : {})
    show(invocation, { ...total, dry_run: isDryRun }, () => {
      const { replayed = 0, duplicates = 0, too_old: tooOld = 0 } = total
      if (isDryRun)
        return `${replayed} would be queued again, ${tooOld} are too old and would stay: add --yes`
      return `${replayed} queued again, ${duplicates} had been sent meanwhile, ${tooOld} are too old and stay`
    })
    return EXIT.done
  },
}

const purge: Command = {
  name: 'dead purge',
  words: `IDS|--all ${FILTER_WORDS} --yes`,
  does: 'deletes dead letters for good',
  positionals: -1,
  options: { ...FILTERS, all: { type: 'boolean' }, yes: { type: 'boolean' } },
  async run(invocation) {
    if (invocation.options['yes'] !== true) throw misused('dead purge deletes for good: add --yes.')
    const total = await runThrough(invocation, '/dead-letters/purge')
    show(invocation, total, () => `${total['purged'] ?? 0} deleted`)
    return EXIT.done
  },
}

export const deadCommands: readonly Command[] = [list, groups, replay, purge]

/** Page after page, up to the limit that was asked for. */
async function findDeadLetters({ options, admin }: Invocation) {
  const limit = readLimit(options)
  const query = queryOf(options)
  const deadLetters: DeadLettersAnswer['dead_letters'] = []
  let nextCursor: string | null = null
  do {
    query.set('limit', String(Math.min(PAGE_DEAD_LETTERS, limit - deadLetters.length)))
    if (nextCursor !== null) query.set('cursor', nextCursor)
    const answer: DeadLettersAnswer = await admin.get(`/dead-letters?${query.toString()}`)
    deadLetters.push(...answer.dead_letters)
    nextCursor = answer.next_cursor
  } while (nextCursor !== null && deadLetters.length < limit)
  return { deadLetters, nextCursor }
}

function readLimit(options: Invocation['options']): number {
  const text = textOf(options['limit']) ?? String(DEFAULT_LIMIT)
  if (!/^[1-9]\d{0,14}$/.test(text)) throw misused('--limit takes a number, 1 or more.')
  return Number(text)
}

/** Repeats the request until nothing is left; adds up what each did, and prints it. */
async function runThrough(
  invocation: Invocation,
  path: string,
  more: object = {},
): Promise<Record<string, number>> {
  const { admin, terminal } = invocation
  const what = readWhat(invocation)
  const total: Record<string, number> = {}
  let cursor: unknown = undefined
  do {
    const answer = await admin.send<Record<string, unknown>>('POST', path, {
      ...what,
      ...more,
      limit: RUN_DEAD_LETTERS,
      ...(cursor !== undefined && { cursor }),
    })
    for (const [name, count] of Object.entries(answer)) {
      if (typeof count === 'number') total[name] = (total[name] ?? 0) + count
    }
    cursor = answer['next_cursor'] ?? undefined
    if (cursor !== undefined) {
      terminal.tell(
        Object.entries(total)
          .map(([name, count]) => `${name.replaceAll('_', ' ')} ${count}`)
          .join(', '),
      )
    }
  } while (cursor !== undefined)
  return total
}

/** All dead letters only with --all: a forgotten filter must not purge everything. */
function readWhat({ positionals, options }: Invocation): object {
  const filter = readFilter(options)
  if (positionals.length > 0) {
    if (Object.keys(filter).length > 0) throw misused('Give ids or a filter, not both.')
    const ids = positionals.flatMap((words) => words.split(',')).map(Number)
    if (!ids.every((id) => Number.isSafeInteger(id) && id > 0))
      throw misused('Ids are numbers, as dead list shows them.')
    return { ids }
  }
  if (Object.keys(filter).length === 0 && options['all'] !== true) {
    throw misused('Give ids, a filter, or --all.')
  }
  return { filter }
}

function queryOf(options: Invocation['options']): URLSearchParams {
  return new URLSearchParams(
    Object.entries(readFilter(options)).map(([name, value]) => [name, String(value)] as [string, string]),
  )
}

function readFilter(options: Invocation['options']): Record<string, string | boolean> {
  const filter: Record<string, string | boolean> = {}
  const names = {
    account: 'ad_account_id',
    reason: 'reason',
    event: 'event_name',
    'event-id': 'event_id',
    order: 'order_id',
    status: 'status',
  } as const
  for (const [option, name] of Object.entries(names)) {
    const text = textOf(options[option])
    if (text !== undefined) filter[name] = text
  }
  if (options['test'] === true && options['live'] === true) throw misused('--test and --live are opposites.')
  if (options['test'] === true) filter['test'] = true
  if (options['live'] === true) filter['test'] = false
  return filter
}
