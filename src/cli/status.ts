/** `status`: one screen for the night. Is everything all right, and if not, what is it? */
import type { Answer } from './admin-client.ts'
import { show, type Command } from './command.ts'
import { renderSeconds, renderTable } from './table.ts'
import { EXIT } from './terminal.ts'
import { findTroubles, type Trouble, type WatchedAccount } from './troubles.ts'
import { isMarked, renderVolume, type ShownVolume } from './volume.ts'

const PROBLEMS: Readonly<Record<string, string>> = {
  store_full: 'posts get 503, for the queue or the disk is full: see what does not drain, or make room',
  store_unavailable: 'posts get 503, for the store takes no writes: look at the disk, or at the database',
  shutting_down: 'it is about to end: posts are taken until its port closes',
}

/** A screenful; when Pinterest is down every queue stands. */
const TROUBLES_SHOWN = 50

/** A time that no step has ended after: the plots of the console are not asked for. */
const LIVE = `/live?since=${10 ** 12 - 1}`

export const status: Command = {
  name: 'status',
  words: '',
  does: 'whether posts are taken, accounts and queues that stand and what mends them, unusual volume, and the totals; exit code 3 when posts are refused or something needs a person',
  positionals: 0,
  async run(invocation) {
    const { admin } = invocation
    const live = await admin.get(LIVE)
    const problem = live['problem'] as string | null
    const [accounts, totals, { volume }] = await Promise.all([
      admin.get('/accounts'),
      // A store that is away cannot be asked, and must not take the rest away.
      problem === null ? admin.get('/totals') : (live['totals'] as Answer | null),
      admin.get('/volume'),
    ])
    const marked = (volume as readonly ShownVolume[]).filter(isMarked)
    const watched = accounts['accounts'] as readonly WatchedAccount[]
    const paused = watched.filter((account) => account.paused).length
    const troubles = findTroubles(watched)
    const overShare = watched.filter((account) => account.over_share).length
    const inTrouble = new Set(troubles.map(({ account }) => account)).size
    const needsPerson = troubles.some(({ remedy }) => remedy !== undefined)
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
        `${renderProblem(problem, overShare)}\naccounts: ${watched.length}, paused: ${paused}, in trouble: ${inTrouble}`,
        renderTroubles(troubles),
        ...(marked.length === 0 ? [] : [`unusual volume:\n${renderVolume(marked)}`]),
        totals === null ? 'the totals cannot be read' : renderTotals(totals),
      ].join('\n\n'),
    )
    return problem !== null || needsPerson ? EXIT.partly : EXIT.done
  },
}

function renderProblem(problem: string | null, overShare: number): string {
  if (problem === null && overShare > 0) {
    return `posts are taken, but not those of ${overShare} account(s) over their share of the store`
  }
  if (problem === null) return 'posts are taken'
  return `PROBLEM: ${[problem, PROBLEMS[problem]].filter(Boolean).join('; ')}`
}

function renderTroubles(troubles: readonly Trouble[]): string {
  if (troubles.length === 0) return 'every queue calls'
  const table = renderTable(
    ['account', 'queue', 'status', 'tries again in', 'what mends it', 'label', 'last failure'],
    troubles
      .slice(0, TROUBLES_SHOWN)
      .map(({ account, queue, status, nextTryInSeconds, remedy }) => [
        account.ad_account_id,
        queue,
        status,
        renderSeconds(nextTryInSeconds),
        remedy ?? 'time',
        account.label,
        account.token.last_failure &&
          `${account.token.last_failure.reason} at ${account.token.last_failure.at}`,
      ]),
  )
  const left = troubles.length - TROUBLES_SHOWN
  return left > 0 ? `${table}\nand ${left} more: account list shows all accounts` : table
}

function renderTotals(totals: Answer): string {
  const names = ['received', 'delivered', 'rejected', 'expired', 'queued', 'duplicate', 'refused']
  return renderTable(names, [names.map((name) => totals[name] as number)])
}
