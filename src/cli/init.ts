/** `init`: from a relay that was just started to a request that works. Asks for what the command line does not have. */
import type { VerificationAnswer } from '../admin/account-actions.ts'
import type { MadeKeyAnswer } from '../admin/keys.ts'
import { show, textOf, type Command } from './command.ts'
import { relayUrl } from './send.ts'
import { EXIT, misused } from './terminal.ts'

export const init: Command = {
  name: 'init',
  words: '[ID] [--country US] [--label TEXT]',
  does: 'first steps: registers an ad account with the token from standard input, has Pinterest check it with a test event, makes a key and prints a curl that posts with it; asks for what is not given',
  positionals: -1,
  options: { country: { type: 'string' }, label: { type: 'string' } },
  async run(invocation) {
    const { positionals, options, admin, terminal } = invocation
    if (positionals.length > 1)
      throw misused('init takes one id at most. A token is read from standard input.')
    // Nobody should type a token for a relay that is not there.
    await admin.get('/totals')
    const id = positionals[0] ?? (await terminal.ask('ad account ID, from Ads Manager: '))
    if (id === '') throw misused('init takes the ad account ID where nobody can be asked.')
    const country =
      textOf(options['country']) ?? (await terminal.ask("the shop's country, such as US (Enter: none): "))
    const token = (await terminal.readSecret("Pinterest's access token (not shown): ")).trim()
    if (token === '') throw misused('No token came from standard input.')
    const label = textOf(options['label'])

    const path = `/accounts/${encodeURIComponent(id)}`
    await admin.send('PUT', path, {
      access_token: token,
      ...(country !== '' && { country }),
      ...(label !== undefined && { label }),
    })
    const verification = await admin.send<VerificationAnswer>('POST', `${path}/verify`)
    if (!verification.works) {
      const reason = verification.message ?? `status ${verification.status}`
      show(invocation, { verification }, () =>
        [`Account ${id} is registered, but its token does not work: ${reason}`, 'Run init again.'].join('\n'),
      )
      return EXIT.partly
    }
    const { key } = await admin.send<MadeKeyAnswer>('POST', '/keys', {
      label: label ?? 'made by relay init',
      ad_account_ids: [id],
    })
    const url = new URL(`/v5/ad_accounts/${id}/events`, relayUrl(terminal.environment)).href
    const curl = curlFor(`${url}?test=true`, key)
    show(invocation, { ad_account_id: id, verification, key, url, curl }, () =>
      [
        `Account ${id} works: Pinterest took a test event.`,
        `The shop's key, which is not shown again: ${key}`,
        '',
        'Post an event that Pinterest checks and does not record (without ?test=true it counts):',
        '',
        curl,
        '',
        `Any client of Pinterest's API works with the base URL ${new URL('/v5', url).href} and this key as its access token.`,
        `Console: ${new URL('/', admin.url).href}`,
      ].join('\n'),
    )
    return EXIT.done
  },
}

/** The shell fills in the time, so that it can be pasted again and again. */
export function curlFor(url: string, relayKey: string): string {
  return `now=$(date +%s); curl -s '${url}' \\
  -H 'Authorization: Bearer ${relayKey}' -H 'Content-Type: application/json' \\
  -d '{"data": [{"event_name": "checkout", "action_source": "web", "event_time": '$now',
       "event_id": "curl-'$now'", "user_data": {"em": " Person@Example.COM ", "ph": "(415) 555-2671"},
       "custom_data": {"value": 72.5, "currency": "usd"}}]}'`
}
