/** `dead …`: dead letters, listed, queued again, deleted. */
import type { DeadLetterGroupsAnswer, DeadLettersAnswer } from '../admin/dead-letters.ts'
import { fieldsOf, queryOf, readPages, type Command, type Invocation, type Result } from './command.ts'
import { renderTable } from './table.ts'
import { misused } from './terminal.ts'

const FILTER =
  '[--account ID] [--reason WORD] [--event NAME] [--event-id ID] [--order ID] [--status rejected|expired] [--live|--test]'
/** Dead letters per request of a long run: a second or so, then progress is reported. */
const RUN_DEAD_LETTERS = 5000

const list: Command = {
  name: 'dead list',
  words: `${FILTER} [--limit N]`,
  does: 'events that Pinterest rejected, or that grew too old, newest first',
  async run(invocation) {
    const { found, answer, note } = await readPages<DeadLettersAnswer, 'dead_letters'>(
      invocation,
      '/dead-letters',
      'dead_letters',
    )
    const text = renderTable(
      {
        id: 'id',
        account: 'ad_account_id',
        event: 'event_name',
        'event id': 'event_id',
        status: 'status',
        reason: 'reason',
        tries: 'attempts',
        died: 'died_at',
        message: 'message',
      },
      found,
      'no dead letters',
    )
    return { answer, text, note }
  },
}

const groups: Command = {
  name: 'dead groups',
  words: FILTER,
  does: 'dead letters by reason and message, the largest group first',
  async run({ admin, options }) {
    const path = `/dead-letters/groups${queryOf(fieldsOf(options))}`
    const answer = await admin.get<DeadLetterGroupsAnswer>(path)
    const text = renderTable(
      {
        'dead letters': 'dead_letters',
        accounts: 'accounts',
        status: 'status',
        reason: 'reason',
        'too old': 'too_old',
        newest: 'newest_died_at',
        message: 'message',
      },
      answer.groups,
      'no dead letters',
    )
    const note = answer.next_cursor !== null && `the newest ${answer.dead_letters}; there are more`
    return { answer, text, note }
  },
}

const replay: Command = {
  name: 'dead replay',
  words: `IDS|--all ${FILTER} [--yes]`,
  does: 'queues dead letters again; without --yes only says how many; those that are too old stay; IDS is a list such as 17,18',
  async run(invocation) {
    const isDryRun = invocation.options['yes'] !== true
    const total = await runThrough(invocation, '/dead-letters/replay', isDryRun ? { dry_run: true } : {})
    const { replayed = 0, duplicates = 0, too_old: tooOld = 0 } = total
    const missing = missingOf(invocation.positionals, replayed + duplicates + tooOld)
    return {
      ...missing,
      answer: { ...total, dry_run: isDryRun },
      text: isDryRun
        ? `${replayed} would be queued again, ${tooOld} are too old and would stay: add --yes`
        : `${replayed} queued again, ${duplicates} had been sent meanwhile, ${tooOld} are too old and stay`,
    }
  },
}

const purge: Command = {
  name: 'dead purge',
  words: `IDS|--all ${FILTER} [--yes]`,
  does: 'deletes dead letters for good; without --yes only says how many',
  async run(invocation) {
    if (invocation.options['yes'] !== true) return countPurge(invocation)
    const answer = await runThrough(invocation, '/dead-letters/purge')
    const { purged = 0 } = answer
    return { ...missingOf(invocation.positionals, purged), answer, text: `${purged} deleted` }
  },
}

/** A replay counts all of them, and changes as little. */
async function countPurge(invocation: Invocation): Promise<Result> {
  const counted = await runThrough(invocation, '/dead-letters/replay', { dry_run: true })
  const purged = (counted['replayed'] ?? 0) + (counted['too_old'] ?? 0)
  return {
    ...missingOf(invocation.positionals, purged),
    answer: { purged, dry_run: true },
    text: `${purged} would be deleted for good: add --yes`,
  }
}

export const deadCommands: readonly Command[] = [list, groups, replay, purge]

/** Repeats the request until nothing is left; adds up what each did, and reports it. */
async function runThrough(
  { admin, terminal, positionals, options }: Invocation,
  path: string,
  more: object = {},
): Promise<Record<string, number>> {
  const body = { ...readWhat(positionals, options), ...more, limit: RUN_DEAD_LETTERS }
  const total: Record<string, number> = {}
  let next: object = {}
  for (;;) {
    const answer = await admin.send<Record<string, unknown>>('POST', path, { ...body, ...next })
    for (const [name, count] of Object.entries(answer)) {
      if (typeof count === 'number') total[name] = (total[name] ?? 0) + count
    }
    if (typeof answer['next_cursor'] !== 'string') return total
    next = { cursor: answer['next_cursor'] }
    const counts = Object.entries(total).map(([name, count]) => `${name.replaceAll('_', ' ')} ${count}`)
    const sum = Object.values(total).reduce((one, other) => one + other, 0)
    terminal.report('dry_run' in more ? `${sum} counted` : counts.join(', '))
  }
}

/** Of ids that were given, some are of no dead letter. */
function missingOf(positionals: readonly string[], found: number) {
  const missing = positionals.length === 0 ? 0 : new Set(idsOf(positionals)).size - found
  return missing > 0 && { note: `of the given ids, no dead letter: ${missing}`, isPartial: true }
}

const idsOf = (positionals: readonly string[]) => positionals.flatMap((words) => words.split(',')).map(Number)

/** All dead letters only with --all: a forgotten filter must not purge everything. */
function readWhat(positionals: readonly string[], options: Invocation['options']): object {
  const filter = fieldsOf(options, ['all', 'yes'])
  const isFiltered = Object.keys(filter).length > 0
  if (positionals.length === 0) {
    if (!isFiltered && options['all'] !== true) throw misused('Give ids, a filter, or --all.')
    return { filter }
  }
  if (isFiltered) throw misused('Give ids or a filter, not both.')
  const ids = idsOf(positionals)
  if (!ids.every((id) => Number.isSafeInteger(id) && id > 0))
    throw misused('Ids are numbers, as dead list shows them.')
  return { ids }
}
