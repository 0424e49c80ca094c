/** `account …`: tokens are read from standard input, never from the command line, where `ps` and the shell's history show them. */
import type { AccountAnswer } from '../admin/account-view.ts'
import type { AccountsAnswer, VerificationAnswer } from '../admin/accounts.ts'
import { verifyAll } from '../delivery/verify-all.ts'
import { Refused, type AdminClient } from './admin-client.ts'
import { firstOf, show, textOf, type Command, type Invocation } from './command.ts'
import { renderSeconds, renderTable } from './table.ts'
import { EXIT, misused } from './terminal.ts'

/** Accounts between two lines of progress: a second where Pinterest answers, half a minute where it does not. */
const TOLD_EVERY = 20

const set: Command = {
  name: 'account set',
  words:
    'ID [--oauth|--keep-token] [--label TEXT] [--country US] [--dob-format DMY|MDY] [--posts-per-minute N]',
  does: 'registers an account, or rotates its token, which is read from standard input; with --oauth as JSON {client_id, client_secret, refresh_token}; with --keep-token only the rest is set',
  positionals: 1,
  options: {
    oauth: { type: 'boolean' },
    'keep-token': { type: 'boolean' },
    label: { type: 'string' },
    country: { type: 'string' },
    'dob-format': { type: 'string' },
    'posts-per-minute': { type: 'string' },
  },
  async run(invocation) {
    const { options, admin } = invocation
    const body = { ...(await readToken(invocation)), ...readSettings(options) }
    const account = await admin.send<AccountAnswer>('PUT', pathOf(invocation), body)
    show(
      invocation,
      account,
      () => `account ${account.ad_account_id} is set, its token ends with ${account.token.last4 ?? '-'}`,
    )
    return EXIT.done
  },
}

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

const verify: Command = {
  name: 'account verify',
  words: '[ID]',
  does: 'asks Pinterest with a test event whether the token works; without an id for every account',
  positionals: -1,
  async run(invocation) {
    const { positionals, admin } = invocation
    if (positionals.length > 1) throw misused('account verify takes one id at most.')
    const [id] = positionals
    const results =
      id === undefined
        ? await verifyEach(invocation)
        : [{ ad_account_id: id, ...(await verifyOne(admin, id)) }]
    show(invocation, id === undefined ? { verifications: results } : results[0], () =>
      renderTable(
        ['account', 'works', 'status', 'message'],
        results.map(({ ad_account_id, works, status, message }) => [ad_account_id, works, status, message]),
      ),
    )
    return results.every(({ works }) => works) ? EXIT.done : EXIT.partly
  },
}

/** A request per account, a few at once: one for all of them would outlast what fetch waits for an answer. */
async function verifyEach({ admin, terminal }: Invocation) {
  const { accounts } = await admin.get<AccountsAnswer>('/accounts')
  const ids = accounts.map(({ ad_account_id }) => ad_account_id)
  let verified = 0
  let failure: unknown
  return verifyAll(ids, async (id) => {
    // The others would go on with the rest of a list that nobody waits for any more.
    if (failure !== undefined) throw failure
    try {
      const verification = await verifyOrMiss(admin, id)
      verified++
      if (verified % TOLD_EVERY === 0 && verified < ids.length) {
        terminal.tell(`${verified} of ${ids.length} verified`)
      }
      return verification
    } catch (error) {
      failure = error
      throw error
    }
  })
}

function verifyOne(admin: AdminClient, id: string): Promise<VerificationAnswer> {
  return admin.send('POST', `/accounts/${encodeURIComponent(id)}/verify`)
}

async function verifyOrMiss(admin: AdminClient, id: string): Promise<VerificationAnswer> {
  try {
    return await verifyOne(admin, id)
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error
    return { works: false, status: null, message: 'The account was removed meanwhile.' }
  }
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

function pathOf(invocation: Invocation): string {
  return `/accounts/${encodeURIComponent(firstOf(invocation))}`
}

async function readToken({ options, terminal }: Invocation): Promise<object> {
  if (options['keep-token'] === true) return {}
  if (options['oauth'] !== true) {
    const accessToken = (await terminal.readSecret('access token: ')).trim()
    if (accessToken === '') throw misused('No token came from standard input.')
    return { access_token: accessToken }
  }
  try {
    return { oauth: JSON.parse(await terminal.readInput()) as unknown }
  } catch {
    throw misused('Standard input must hold JSON {client_id, client_secret, refresh_token}.')
  }
}

function readSettings(options: Invocation['options']): object {
  const postsPerMinute = textOf(options['posts-per-minute'])
  if (postsPerMinute !== undefined && !/^\d+$/.test(postsPerMinute))
    throw misused('--posts-per-minute takes a number.')
  return {
    ...(options['label'] !== undefined && { label: options['label'] }),
    ...(options['country'] !== undefined && { country: options['country'] }),
    ...(options['dob-format'] !== undefined && { dob_format: options['dob-format'] }),
    ...(postsPerMinute !== undefined && { posts_per_minute: Number(postsPerMinute) }),
  }
}
