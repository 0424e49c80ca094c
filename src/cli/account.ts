/**
 * `account …`: set, list, verify, pause, resume, remove. A token comes from standard input, since `ps` and the shell's
 * history show a command line.
 */
import { Readable } from 'node:stream'
import type { AccountAnswer } from '../admin/account-view.ts'
import type { AccountsAnswer, VerificationAnswer } from '../admin/accounts.ts'
import type { TotalsAnswer } from '../admin/insight.ts'
import type { KeysAnswer } from '../admin/keys.ts'
import type { SourcesAnswer } from '../admin/sources.ts'
import { move } from './account-move.ts'
import { unlessMissing, type AdminClient } from './admin-client.ts'
import {
  consentUrl,
  fieldsOf,
  listing,
  NO_TOKEN,
  parseJson,
  pathOf,
  readSecret,
  type Command,
  type Invocation,
} from './command.ts'
import { renderSeconds, renderTable } from './table.ts'
import { CommandFailed, misused } from './terminal.ts'

const set: Command = {
  name: 'account set',
  words:
    'ID [--oauth|--keep-token] [--no-verify|--force] [--label TEXT] [--country US] [--dob-format DMY|MDY] [--bots send|filter] [--event-names JSON] [--posts-per-minute N]',
  does: 'registers an account, or rotates its token, which is read from standard input, and asks Pinterest whether it works; one that Pinterest refuses replaces none, unless with --force, or --no-verify, which does not ask; with --oauth it is JSON {client_id, client_secret, refresh_token}, where somebody consents afterwards without the last, or {shared_with: ID}; with --keep-token only the rest is set',
  async run(invocation) {
    const { options, admin } = invocation
    const isForced = options['force'] === true || options['no-verify'] === true
    const body = {
      ...(await readToken(invocation)),
      ...fieldsOf(options, ['oauth', 'keep-token', 'no-verify', 'force']),
      ...(isForced && { force: true }),
    }
    const account = await admin
      .send<AccountAnswer>('PUT', pathOf('account', invocation), body)
      .catch((error: unknown) => {
        const isRefused =
          error instanceof CommandFailed && error.code === 'TOKEN_REFUSED' && 'access_token' in body
        throw isRefused ? new CommandFailed(`${error.message}\n${FORCE}`, error.exitCode, error.code) : error
      })
    const { ad_account_id: id, token } = account
    const hasToken = token.kind !== 'none'
    const isAsked = hasToken && options['keep-token'] !== true && options['no-verify'] !== true
    const verification = isAsked ? await verifyOne(admin, id) : null
    return {
      answer: { ...account, verification },
      text: [
        `account ${id} is set${hasToken ? `, its token ends with ${token.last4}` : ''}`,
        ...(hasToken ? [] : [`nothing is sent before somebody consents at ${consentUrl(admin, id)}`]),
        ...(verification === null ? [] : [renderVerification(id, verification)]),
      ].join('\n'),
      isPartial: verification?.works === false,
    }
  },
}

const FORCE = 'With --force the new one replaces it all the same.'

function renderVerification(id: string, { works, status, message }: VerificationAnswer): string {
  if (works) return 'Pinterest took a test event: the token works'
  return [
    `Pinterest did not take a test event${status === null ? '' : ` (${status})`}: ${message}`,
    `relay account verify ${id} asks again; relay account set ${id} takes another token`,
  ].join('\n')
}

async function readToken({ options, terminal }: Invocation): Promise<object> {
  if (options['keep-token'] === true) return {}
  if (options['oauth'] !== true)
    return { access_token: await readSecret(terminal, 'access token: ', NO_TOKEN) }
  const complaint = 'Standard input must hold JSON, such as {"client_id": "…", "client_secret": "…"}.'
  return { oauth: parseJson(await terminal.readInput(), complaint) }
}

/** Accounts between two lines of progress: a second where Pinterest answers, half a minute where it does not. */
const REPORT_EVERY = 20
const GONE: VerificationAnswer = { works: false, status: null, message: 'The account was removed meanwhile.' }

const verify: Command = {
  name: 'account verify',
  words: '[ID]',
  does: 'asks Pinterest with a test event whether the token works; without an id for every account',
  async run({ positionals: [id], admin, terminal }) {
    const ids = id === undefined ? await idsOf(admin) : [id]
    let verified = 0
    const verifyNext = async (ad_account_id: string) => {
      const asked = verifyOne(admin, ad_account_id)
      const verification = await (id === undefined ? unlessMissing(asked) : asked)
      verified++
      if (verified % REPORT_EVERY === 0 && verified < ids.length)
        terminal.report(`${verified} of ${ids.length} verified`)
      return { ad_account_id, ...(verification ?? GONE) }
    }
    // A request per account, a few at once: one for all of them could take longer than fetch waits.
    const results = await Readable.from(ids).map(verifyNext, { concurrency: 8 }).toArray()
    return {
      answer: id === undefined ? { verifications: results } : results[0],
      text: renderTable(
        { account: 'ad_account_id', works: 'works', status: 'status', message: 'message' },
        results,
      ),
      isPartial: !results.every(({ works }) => works),
    }
  },
}

async function idsOf(admin: AdminClient): Promise<readonly string[]> {
  const { accounts } = await admin.get<AccountsAnswer>('/accounts')
  return accounts.map((account) => account.ad_account_id)
}

export function verifyOne(admin: AdminClient, id: string): Promise<VerificationAnswer> {
  return admin.send('POST', `/accounts/${encodeURIComponent(id)}/verify`)
}

function change(verb: string, does: string, done: string, action = verb): Command {
  return {
    name: `account ${verb}`,
    words: 'ID',
    does,
    async run(invocation) {
      const answer = await invocation.admin.send('POST', `${pathOf('account', invocation)}/${action}`)
      return { answer, text: `account ${invocation.positionals[0]} ${done}` }
    },
  }
}

const rm: Command = {
  name: 'account rm',
  words: 'ID [--yes]',
  does: 'forgets the account and its token; where events wait for it, or sources or keys name it, says so and wants --yes',
  async run(invocation) {
    const { admin, options, positionals } = invocation
    const [id = ''] = positionals
    const path = pathOf('account', invocation)
    await admin.get<AccountAnswer>(path)
    const left = await findLeft(admin, id)
    if (left.length > 0 && options['yes'] !== true)
      throw misused([`account ${id} leaves behind:`, ...left, 'add --yes.'].join('\n'))
    await admin.send('DELETE', path)
    return { answer: { left_behind: left }, text: [`account ${id} is removed`, ...left].join('\n') }
  },
}

/** What still is for an account when it is gone, a line each. */
async function findLeft(admin: AdminClient, id: string): Promise<readonly string[]> {
  const [{ queued }, { sources }, { keys }] = await Promise.all([
    admin.get<TotalsAnswer>(`/totals?ad_account_id=${id}`),
    admin.get<SourcesAnswer>('/sources'),
    admin.get<KeysAnswer>('/keys'),
  ])
  return [
    ...(queued === 0
      ? []
      : [`  queued events: ${queued}; they are sent when it is set again, and dead letters once too old`]),
    ...sources
      .filter((source) => source.ad_account_id === id)
      .map(
        (source) =>
          `  source ${source.id}: it still takes webhooks, and their events wait; relay source rm ${source.id} ends that`,
      ),
    ...keys
      .filter((key) => key.ad_account_ids.includes(id))
      .map((key) => `  key ${key.id} (${key.label}): its posts for this account get 403`),
  ]
}

export function lastFailureOf({ token: { last_failure: last } }: AccountAnswer) {
  return last && `${last.reason} at ${last.at}`
}

export const accountCommands: readonly Command[] = [
  set,
  listing<AccountAnswer>(
    'account',
    'all accounts, their tokens (the last 4 characters) and the state of their queues',
    {
      account: 'ad_account_id',
      label: 'label',
      token: ({ token }) => token.kind,
      'ends with': ({ token }) => token.last4,
      age: ({ token }) => renderSeconds(token.age_seconds),
      'expires in': ({ token }) => renderSeconds(token.expires_in_seconds),
      queues: ({ queues, paused }) =>
        queues.map(({ test, status }) => `${test ? 'test' : 'live'} ${status}`).join(', ') ||
        (paused ? 'paused' : 'idle'),
      'last failure': lastFailureOf,
    },
  ),
  verify,
  change('pause', 'stops its calls; posts are still taken', 'is paused'),
  change('resume', 'makes its calls again', 'is resumed'),
  change(
    'mint',
    'has Pinterest make a conversion token, which does not expire, with the consent that the account has',
    'uses a conversion token now',
    'conversion-token',
  ),
  move,
  rm,
]
