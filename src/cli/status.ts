/** `status`: one screen. Does everything work, and if not, what does not? */
import type { AccountAnswer } from '../admin/account-view.ts'
import type { AccountsAnswer } from '../admin/accounts.ts'
import type { VolumeAnswer } from '../admin/insight.ts'
import type { LiveAnswer } from '../admin/live.ts'
import type { SourcesAnswer } from '../admin/sources.ts'
import type { TotalsAnswer } from '../admin/insight.ts'
import { lastFailureOf } from './account.ts'
import { LIVE } from './admin-client.ts'
import { remedyFor, type Command, type Invocation } from './command.ts'
import { isMarked, renderVolume } from './insight.ts'
import { renderSeconds, renderTable } from './table.ts'

/** A screenful: when Pinterest is down, no queue sends. */
const TROUBLES_SHOWN = 50

export const status: Command = {
  name: 'status',
  words: '',
  does: 'whether posts are taken, accounts and queues that do not send and what to do about them, problems of sources, unusual volume, and the totals; exit code 3 when posts are refused or something needs a person',
  async run({ admin, terminal }) {
    const live = await admin.get<LiveAnswer>(LIVE)
    const { problem } = live
    const [{ accounts }, totals, { volume }, { sources }] = await Promise.all([
      admin.get<AccountsAnswer>('/accounts'),
      // A store that is away must not fail the whole command.
      problem === null ? admin.get<TotalsAnswer>('/totals') : live.totals,
      admin.get<VolumeAnswer>('/volume'),
      admin.get<SourcesAnswer>('/sources'),
    ])
    const ofSources = sources.flatMap(({ id, problems }) =>
      problems.map((problem) => ({ source: id, problem })),
    )
    const marked = volume.filter(isMarked)
    const paused = accounts.filter((account) => account.paused).length
    const troubles = findTroubles(accounts, live)
    const overShare = troubles.filter(({ status }) => status === 'over_share').length
    const inTrouble = new Set(troubles.map(({ id }) => id)).size
    const needsPerson = troubles.some(({ urgency }) => urgency >= 2) || ofSources.length > 0
    return {
      answer: {
        accounts,
        unregistered_queues: unregisteredOf(live),
        cell: live.cell,
        problem,
        paused_accounts: paused,
        accounts_over_share: overShare,
        accounts_in_trouble: inTrouble,
        source_problems: ofSources,
        totals,
        unusual_volume: marked,
        needs_person: needsPerson,
      },
      text: [
        `${live.cell === null ? '' : `cell ${live.cell}: `}${renderProblem(live, overShare)}\naccounts: ${accounts.length}, paused: ${paused}, in trouble: ${inTrouble}`,
        renderTroubles({ admin, terminal }, troubles),
        ...ofSources.slice(0, TROUBLES_SHOWN).map(({ source, problem }) => `source ${source}: ${problem}`),
        ...(marked.length === 0 ? [] : [`unusual volume:\n${renderVolume(marked)}`]),
        totals === null ? 'the totals cannot be read' : renderTotals(totals),
      ].join('\n\n'),
      isPartial: problem !== null || needsPerson,
    }
  },
}

interface Trouble extends Pick<AccountAnswer['problems'][number], 'status' | 'urgency' | 'remedy'> {
  readonly id: string
  readonly label: string
  readonly last?: string | null
  /** Undefined: of the account as a whole. */
  readonly queue?: 'live' | 'test'
  readonly next_try_in_seconds?: number | null
}

/** Problems of accounts and queues that do not send; what needs a person first. */
function findTroubles(accounts: readonly AccountAnswer[], live: LiveAnswer): readonly Trouble[] {
  const queueOf = ({ test }: { readonly test: boolean }) => (test ? ('test' as const) : ('live' as const))
  const troubles = accounts.flatMap((account): readonly Trouble[] => {
    const of = { id: account.ad_account_id, label: account.label, last: lastFailureOf(account) }
    return [
      ...account.problems.map((problem) => ({ ...problem, ...of })),
      ...account.queues
        .filter(({ urgency }) => urgency > 0)
        .map((queue) => ({ ...queue, ...of, queue: queueOf(queue) })),
    ]
  })
  const unregistered = unregisteredOf(live).map((queue) => ({
    ...queue,
    id: queue.ad_account_id,
    queue: queueOf(queue),
  }))
  const needsPerson = ({ urgency }: Trouble) => Number(urgency >= 2)
  return [...unregistered, ...troubles].toSorted((one, other) => needsPerson(other) - needsPerson(one))
}

/** They are in no account's answer. */
function unregisteredOf({ queues }: LiveAnswer) {
  return queues.filter(({ status }) => status === 'no_account')
}

function renderProblem({ problem, problem_means: means }: LiveAnswer, overShare: number): string {
  if (problem !== null) return `PROBLEM: ${problem}. ${means}`
  if (overShare === 0) return 'posts are taken'
  return `posts are taken, but not those of ${overShare} account(s) over their share of the store`
}

function renderTroubles(
  invocation: Pick<Invocation, 'admin' | 'terminal'>,
  troubles: readonly Trouble[],
): string {
  const table = renderTable(
    {
      account: 'id',
      queue: 'queue',
      status: 'status',
      'tries again in': (trouble) => renderSeconds(trouble.next_try_in_seconds),
      'what to do': ({ id, remedy }) => (remedy === null ? 'wait' : remedyFor(invocation, id, remedy)),
      label: 'label',
      'last failure': 'last',
    },
    troubles.slice(0, TROUBLES_SHOWN),
    'every queue sends',
  )
  const left = troubles.length - TROUBLES_SHOWN
  return left > 0 ? `${table}\nand ${left} more: account list shows all accounts` : table
}

function renderTotals(totals: TotalsAnswer): string {
  const names = Object.keys(totals) as (keyof TotalsAnswer)[]
  return renderTable<TotalsAnswer>(Object.fromEntries(names.map((name) => [name, name])), [totals])
}
