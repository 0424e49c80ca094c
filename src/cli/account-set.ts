/** `account set`: the token comes from standard input, since `ps` and the shell's history show a command line. */
import type { VerificationAnswer } from '../admin/account-actions.ts'
import type { AccountAnswer } from '../admin/account-view.ts'
import { verifyOne } from './account-verify.ts'
import type { AdminClient } from './admin-client.ts'
import { pathOfAccount as pathOf, show, textOf, type Command, type Invocation } from './command.ts'
import { EXIT, misused } from './terminal.ts'

export const set: Command = {
  name: 'account set',
  words:
    'ID [--oauth|--keep-token] [--no-verify] [--label TEXT] [--country US] [--dob-format DMY|MDY] [--bots send|filter] [--event-names JSON] [--posts-per-minute N]',
  does: 'registers an account, or rotates its token, which is read from standard input, and asks Pinterest whether it works; with --oauth as JSON {client_id, client_secret, refresh_token}; with --keep-token only the rest is set',
  positionals: 1,
  options: {
    oauth: { type: 'boolean' },
    'keep-token': { type: 'boolean' },
    'no-verify': { type: 'boolean' },
    label: { type: 'string' },
    country: { type: 'string' },
    'dob-format': { type: 'string' },
    bots: { type: 'string' },
    'event-names': { type: 'string' },
    'posts-per-minute': { type: 'string' },
  },
  async run(invocation) {
    const { options, admin } = invocation
    const body = { ...(await readToken(invocation)), ...readSettings(options) }
    const account = await admin.send<AccountAnswer>('PUT', pathOf(invocation), body)
    const hasToken = account.token.kind !== 'none'
    const isAsked = hasToken && options['keep-token'] !== true && options['no-verify'] !== true
    const verification = isAsked ? await verifyOne(admin, account.ad_account_id) : null
    show(invocation, { ...account, verification }, () =>
      [
        `account ${account.ad_account_id} is set${hasToken ? `, its token ends with ${account.token.last4}` : ''}`,
        ...(hasToken ? [] : [`nothing is sent before somebody consents at ${consentUrl(admin, account)}`]),
        ...(verification === null ? [] : [renderVerification(verification)]),
      ].join('\n'),
    )
    return verification?.works === false ? EXIT.partly : EXIT.done
  },
}

function consentUrl({ url }: AdminClient, { ad_account_id: id }: AccountAnswer): string {
  return new URL(`/accounts/${id}/authorize`, url).href
}

function renderVerification({ works, status, message }: VerificationAnswer): string {
  if (works) return 'Pinterest took a test event: the token works'
  return `Pinterest did not take a test event${status === null ? '' : ` (${status})`}: ${message}`
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
    ...(options['bots'] !== undefined && { bots: options['bots'] }),
    ...(options['event-names'] !== undefined && { event_names: readNames(textOf(options['event-names'])) }),
    ...(postsPerMinute !== undefined && { posts_per_minute: Number(postsPerMinute) }),
  }
}

function readNames(json = ''): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw misused('--event-names takes JSON, such as {"Bestellung":"checkout"}.')
  }
}
