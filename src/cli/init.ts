/** `init`: from a relay that was just started to a request that works. Asks for what the command line does not have. */
import type { MadeKeyAnswer } from '../admin/keys.ts'
import { verifyOne } from './account.ts'
import { fieldsOf, readSecret, textOf, type Command } from './command.ts'
import { relayUrl } from './send.ts'
import { misused } from './terminal.ts'

export const init: Command = {
  name: 'init',
  words: '[ID] [--country US] [--label TEXT]',
  does: 'first steps: registers an ad account with the token from standard input, has Pinterest check it with a test event, makes a key and prints a curl that posts with it; asks for what is not given',
  async run({ positionals, options, admin, terminal }) {
    // Nobody should type a token for a relay that is not there.
    await admin.get('/totals')
    const id = positionals[0] ?? (await terminal.ask('ad account ID, from Ads Manager: '))
    if (id === '') throw misused('init takes the ad account ID where nobody can be asked.')
    const country =
      textOf(options['country']) ?? (await terminal.ask("the shop's country, such as US (Enter: none): "))
    const token = await readSecret(terminal, "Pinterest's access token (not shown): ", 'token')

    await admin.send('PUT', `/accounts/${encodeURIComponent(id)}`, {
      ...fieldsOf(options),
      access_token: token,
      ...(country !== '' && { country }),
    })
    const verification = await verifyOne(admin, id)
    if (!verification.works) {
      const text = `Account ${id} is registered, but its token does not work: ${verification.message}\nRun init again.`
      return { answer: { verification }, text, isPartial: true }
    }
    const { key } = await admin.send<MadeKeyAnswer>('POST', '/keys', {
      label: options['label'] ?? 'made by relay init',
      ad_account_ids: [id],
    })
    const url = new URL(`/v5/ad_accounts/${id}/events`, relayUrl(terminal.environment)).href
    const curl = curlFor(`${url}?test=true`, key)
    return {
      answer: { ad_account_id: id, verification, key, url, curl },
      text: [
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
    }
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
