import t from 'tap'
import { isBotUserAgent } from '../../src/events/bots.ts'
import { prepareEvent } from '../../src/events/prepare.ts'
import { LIVE, PLAIN } from './raw-events.ts'

const BROWSERS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 [Pinterest/Android]',
  'Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.104 Mobile Safari/537.36',
  'Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0',
]
const BOTS = [
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'curl/8.5.0', 'axios/1.7.7', 'WordPress/6.7; https://shop.example', 'okhttp/4.12.0',
  'python-requests/2.32.3', 'GuzzleHttp/7', 'Go-http-client/2.0', 'PostmanRuntime/7.42.0', 'node', 'undici', 'Pinterestbot/1.0', 'facebookexternalhit/1.1',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36',
] // prettier-ignore

t.test('bots and software are told apart from browsers', async (t) => {
  for (const agent of BROWSERS) t.notOk(isBotUserAgent(agent), agent)
  for (const agent of BOTS) t.ok(isBotUserAgent(agent), agent)
  for (let n = 0; n < 5000; n++) isBotUserAgent(`${BROWSERS[0]} ${n}`)
  for (const agent of [...BOTS, `curl/8.5.0 ${'x'.repeat(4000)}`]) t.ok(isBotUserAgent(agent))
})

t.test('an event of a bot is marked as such, and sent', async (t) => {
  const prepare = (fields: object, agent: string) =>
    prepareEvent({ ...PLAIN, ...fields, user_data: { ...PLAIN.user_data, client_user_agent: agent } }, LIVE)
  t.match(prepare({}, BOTS[0]!), { status: 'prepared', warnings: [{ path: 'user_data.client_user_agent', code: 'bot_user_agent' }] }) // prettier-ignore
  t.match(prepare({}, BROWSERS[0]!), { status: 'prepared', warnings: [] })
  // An app's own HTTP client is its customer's.
  t.match(prepare({ action_source: 'app_android' }, 'okhttp/4.12.0'), { status: 'prepared', warnings: [] })
  t.match(prepareEvent(PLAIN, LIVE), { warnings: [] })
})
