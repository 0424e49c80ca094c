/** `account …`: list, pause, resume, remove. */
import type { AccountAnswer } from '../admin/account-view.ts'
import type { AccountsAnswer } from '../admin/accounts.ts'
import { set } from './account-set.ts'
import { verify } from './account-verify.ts'
import { firstOf, pathOfAccount as pathOf, show, type Command } from './command.ts'
import { renderSeconds, renderTable } from './table.ts'
import { EXIT } from './terminal.ts'

const list: Command = {
  name: 'account list',
  words: '',
  does: 'all accounts, their tokens (the last 4 characters) and the state of their queues',
  positionals: 0,
  async run(invocation) {
    const answer = await invocation.admin.get<AccountsAnswer>('/accounts')
    show(invocation, answer, () => renderAccounts(answer.accounts))
    return EXIT.done
  },
}

function renderAccounts(accounts: readonly AccountAnswer[]): string {
  if (accounts.length === 0) return 'no accounts'
  return renderTable(
    ['account', 'label', 'token', 'ends with', 'age', 'expires in', 'queues', 'last failure'],
    accounts.map(({ ad_account_id, label, token, queues, paused }) => [
      ad_account_id,
      label,
      token.kind,
      token.last4,
      renderSeconds(token.age_seconds),
      renderSeconds(token.expires_in_seconds),
      queues.map(({ test, status }) => `${test ? 'test' : 'live'} ${status}`).join(', ') ||
        (paused ? 'paused' : 'idle'),
      token.last_failure && `${token.last_failure.reason} at ${token.last_failure.at}`,
    ]),
  )
}

function change(verb: 'pause' | 'resume', does: string): Command {
  return {
    name: `account ${verb}`,
    words: 'ID',
    does,
    positionals: 1,
    async run(invocation) {
      const account = await invocation.admin.send('POST', `${pathOf(invocation)}/${verb}`)
      show(invocation, account, () => `account ${firstOf(invocation)} is ${verb}d`)
      return EXIT.done
    },
  }
}

const remove: Command = {
  name: 'account rm',
  words: 'ID',
  does: 'forgets the account and its token; what is queued stays until the account is set again',
  positionals: 1,
  async run(invocation) {
    await invocation.admin.send('DELETE', pathOf(invocation))
    show(invocation, {}, () => `account ${firstOf(invocation)} is removed`)
    return EXIT.done
  },
}

export const accountCommands: readonly Command[] = [
  set,
  list,
  verify,
  change('pause', 'stops its calls; posts are still taken'),
  change('resume', 'goes on with its calls'),
  remove,
]
