/** `status`: one screen. Does everything work, and if not, what does not? */
import type { AccountsAnswer } from '../admin/accounts.ts'
import type { LiveAnswer } from '../admin/live.ts'
import type { TotalsAnswer } from '../admin/totals.ts'
import type { VolumeAnswer } from '../admin/volume.ts'
import { show, type Command } from './command.ts'
import { renderSeconds, renderTable } from './table.ts'
import { EXIT } from './terminal.ts'
import { findTroubles, type Trouble } from './troubles.ts'
import { isMarked, renderVolume } from './volume.ts'

/** A screenful: when Pinterest is down, no queue sends. */
const TROUBLES_SHOWN = 50

/** Later than every step: no samples are answered. */
const LIVE = `/live?since=${10 ** 12 - 1}`

export const status: Command = {
  name: 'status',
  words: '',
  does: 'whether posts are taken, accounts and queues that do not send and what to do about them, unusual volume, and the totals; exit code 3 when posts are refused or something needs a person',
  positionals: 0,
  async run(invocation) {
    const { admin } = invocation
    const live = await admin.get<LiveAnswer>(LIVE)
    const { problem } = live
    const [accounts, totals, { volume }] = await Promise.all([
      admin.get<AccountsAnswer>('/accounts'),
      // A store that is away must not fail the whole command.
      problem === null ? admin.get<TotalsAnswer>('/totals') : live.totals,
      admin.get<VolumeAnswer>('/volume'),
    ])
    const marked = volume.filter(isMarked)
    const { accounts: watched } = accounts
    const paused = watched.filter((account) => account.paused).length
    const troubles = findTroubles(watched)
    const overShare = watched.filter((account) => account.over_share).length
    const inTrouble = new Set(troubles.map(({ account }) => account)).size
    const needsPerson = troubles.some(({ urgency }) => urgency >= 2)
    const answer = {
      ...accounts,
      problem,
      paused_accounts: paused,
      accounts_over_share: overShare,
      accounts_in_trouble: inTrouble,
      totals,
      unusual_volume: marked,
      needs_person: needsPerson,
    }
    show(invocation, answer, () =>
      [
        `${renderProblem(live, overShare)}\naccounts: ${watched.length}, paused: ${paused}, in trouble: ${inTrouble}`,
        renderTroubles(troubles),
        ...(marked.length === 0 ? [] : [`unusual volume:\n${renderVolume(marked)}`]),
        totals === null ? 'the totals cannot be read' : renderTotals(totals),
      ].join('\n\n'),
    )
    return problem !== null || needsPerson ? EXIT.partly : EXIT.done
  },
}

function renderProblem({ problem, problem_means: means }: LiveAnswer, overShare: number): string {
  if (problem !== null) return `PROBLEM: ${problem}. ${means}`
  if (overShare === 0) return 'posts are taken'
  return `posts are taken, but not those of ${overShare} account(s) over their share of the store`
}

function renderTroubles(troubles: readonly Trouble[]): string {
  if (troubles.length === 0) return 'every queue sends'
  const table = renderTable(
    ['account', 'queue', 'status', 'tries again in', 'what to do', 'label', 'last failure'],
    troubles
      .slice(0, TROUBLES_SHOWN)
      .map(({ account, queue, status, next_try_in_seconds, remedy }) => [
        account.ad_account_id,
        queue,
        status,
        renderSeconds(next_try_in_seconds),
        remedy ?? 'wait',
        account.label,
        account.token.last_failure &&
          `${account.token.last_failure.reason} at ${account.token.last_failure.at}`,
      ]),
  )
  const left = troubles.length - TROUBLES_SHOWN
  return left > 0 ? `${table}\nand ${left} more: account list shows all accounts` : table
}

function renderTotals(totals: TotalsAnswer): string {
  return renderTable(Object.keys(totals), [Object.values(totals)])
}
