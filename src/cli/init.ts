/** `init`: from a relay that was just started to a request or a webhook that works. Asks for what the command line does not have. */
import { randomBytes } from 'node:crypto'
import type { MadeKeyAnswer } from '../admin/keys.ts'
import type { SourceAnswer } from '../admin/sources.ts'
import { verifyOne } from './account.ts'
import { adminTokenFile } from './admin-client.ts'
import { NO_TOKEN, readSecret, textOf, type Command, type Invocation } from './command.ts'
import { relayUrl } from './send.ts'
import { renderSetUp } from './source.ts'
import { misused, type Terminal } from './terminal.ts'

const SHOPS = ['shopify', 'woocommerce']

export const init: Command = {
  name: 'init',
  words: '[ID] [--country US] [--source shopify|woocommerce] [--label TEXT]',
  does: "first steps: registers an ad account with the token from standard input, has Pinterest check it with a test event, and connects a shop: with a key and a curl that posts with it, or with --source, which says what to enter in the shop (Shopify's secret is the second line of standard input). Asks for what is not given",
  async run(invocation) {
    const { positionals, options, admin, terminal } = invocation
    // Nobody should type a token for a relay that is not there.
    await admin.get('/totals')
    const id = await ask(terminal, positionals[0], 'ad account ID, from Ads Manager: ', faultOfId)
    const country = await ask(
      terminal,
      textOf(options['country']),
      "the shop's country, such as US (Enter: none): ",
      faultOfCountry,
    )
    const shop = await ask(
      terminal,
      textOf(options['source']),
      'the shop: shopify or woocommerce (Enter: a key, for your own code or any other shop): ',
      faultOfShop,
    )
    const given = await readSecret(terminal, "Pinterest's access token (not shown): ", NO_TOKEN)
    const [token, second] = given.split(/\s*\n\s*/)
    const secret =
      shop === 'shopify'
        ? (second ?? (await readSecret(terminal, SECRET_PROMPT, NO_SECRET)))
        : randomBytes(32).toString('hex')
    const label = textOf(options['label'])

    await admin.send('PUT', `/accounts/${encodeURIComponent(id)}`, {
      access_token: token,
      ...(label !== undefined && { label }),
      ...(country !== '' && { country }),
    })
    const verification = await verifyOne(admin, id)
    if (!verification.works) {
      const text = `Account ${id} is registered, but no test event was taken: ${verification.message}\nRun init again.`
      return { answer: { verification }, text, isPartial: true }
    }
    const { answer, lines } =
      shop === ''
        ? await makeKey(invocation, id, label)
        : await makeSource(invocation, shop, id, secret, label)
    const { environment } = terminal
    return {
      answer: { ad_account_id: id, verification, ...answer },
      text: [
        `Account ${id} works: Pinterest took a test event.`,
        ...lines,
        'relay status shows whether all is well, relay event ID what became of an event.',
        '',
        `Console: ${admin.browserUrl}/, with the token in ${adminTokenFile(environment) ?? 'ADMIN_TOKEN'}`,
      ].join('\n'),
    }
  },
}

/** What was given or is typed, checked before the next question: a person is asked again, a command line is refused. */
async function ask(
  terminal: Terminal,
  given: string | undefined,
  question: string,
  faultOf: (text: string) => string | undefined | Promise<string | undefined>,
): Promise<string> {
  for (;;) {
    const text = given ?? (await terminal.ask(question))
    const fault = await faultOf(text)
    if (fault === undefined) return text
    // Nothing is typed where nobody can be asked.
    if (given !== undefined || text === '') throw misused(fault)
    terminal.report(fault)
  }
}

function faultOfId(id: string): string | undefined {
  if (id === '')
    return 'Nobody can be asked here: init takes the ad account ID, and the token on standard input.'
  return /^\d{1,18}$/.test(id) ? undefined : 'The ad account ID is a number, such as 549755885175.'
}

/** Loaded here alone: its tables take longer than most commands. */
async function faultOfCountry(country: string): Promise<string | undefined> {
  if (country === '') return undefined
  const { faultOfCode } = await import('../events/normalize/country.ts')
  const fault = faultOfCode(country)
  return fault && `The country ${fault}`
}

function faultOfShop(shop: string): string | undefined {
  if (shop === '' || SHOPS.includes(shop)) return undefined
  return `The shop is ${SHOPS.join(' or ')}. Any other gets a key here, and an address by relay source set: docs/custom-sources.md.`
}

async function makeKey({ admin, terminal }: Invocation, id: string, label = 'made by relay init') {
  const { key } = await admin.send<MadeKeyAnswer>('POST', '/keys', { label, ad_account_ids: [id] })
  const url = new URL(`/v5/ad_accounts/${id}/events`, relayUrl(terminal.environment)).href
  const curl = curlFor(`${url}?test=true`, key)
  const lines = [
    `The shop's key, which is not shown again: ${key}`,
    '',
    'Post an event that Pinterest checks and does not record (without ?test=true it counts):',
    '',
    curl,
    '',
    `Any client of Pinterest's API works with the base URL ${new URL('/v5', url).href} and this key as its access token.`,
    'A shop that can only post webhooks gets an address by relay source set: docs/custom-sources.md.',
  ]
  return { answer: { key, url, curl }, lines }
}

/** Its name is random, since anybody may post to its address. Shopify makes the secret itself. */
async function makeSource({ admin }: Invocation, kind: string, id: string, secret: string, label = '') {
  const name = `${kind}-${randomBytes(4).toString('hex')}`
  const body = { kind, ad_account_id: id, secret, label }
  const source = await admin.send<SourceAnswer>('PUT', `/sources/${name}`, body)
  if (kind === 'shopify') return { answer: { source }, lines: renderSetUp(source) }
  return {
    answer: { source, secret },
    lines: [...renderSetUp(source), `Secret, which is not shown again: ${secret}`],
  }
}

const SECRET_PROMPT = "the secret below Shopify's list of webhooks (not shown): "
const NO_SECRET = "Shopify's secret is the second line of standard input."

/** The shell fills in the time, so that it can be pasted again and again. */
export function curlFor(url: string, relayKey: string): string {
  return `now=$(date +%s); curl -s '${url}' \\
  -H 'Authorization: Bearer ${relayKey}' -H 'Content-Type: application/json' \\
  -d '{"data": [{"event_name": "checkout", "action_source": "web", "event_time": '$now',
       "event_id": "curl-'$now'", "user_data": {"em": " Person@Example.COM ", "ph": "(415) 555-2671"},
       "custom_data": {"value": 72.5, "currency": "usd"}}]}'`
}
