/** Problems of accounts and queues that do not send; what needs a person first. */
import type { AccountAnswer } from '../admin/account-view.ts'

export interface Trouble extends Pick<AccountAnswer['problems'][number], 'status' | 'urgency' | 'remedy'> {
  readonly account: AccountAnswer
  /** Undefined: of the account as a whole. */
  readonly queue?: 'live' | 'test'
  readonly next_try_in_seconds?: number | null
}

export function findTroubles(accounts: readonly AccountAnswer[]): readonly Trouble[] {
  const troubles = accounts.flatMap((account): readonly Trouble[] => [
    ...account.problems.map((problem) => ({ ...problem, account })),
    ...account.queues
      .filter(({ urgency }) => urgency > 0)
      .map((queue) => ({ ...queue, account, queue: queue.test ? ('test' as const) : ('live' as const) })),
  ])
  const needsPerson = ({ urgency }: Trouble) => urgency >= 2
  return [...troubles.filter(needsPerson), ...troubles.filter((trouble) => !needsPerson(trouble))]
}
