import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { ACCOUNT, enter, setUp } from '../support/relay.ts'
import { shopifyHeaders, wooHeaders } from '../support/shop-payloads.ts'
import { createCommandLine } from './stage.ts'

const TOKEN = 'pina_A_TOKEN_THAT_NOBODY_MAY_SEE_4711'
const hasCurl = spawnSync('curl', ['--version']).status === 0

t.test('asks for what it needs, and ends with a curl that works', async (t) => {
  const stand = await enter(t)
  const typed = ['549755885199', 'US']
  const { code, stdout, stderr } = await createCommandLine(stand)('init', { typed, input: `${TOKEN}\n` })
  t.equal(code, 0, stderr)
  t.match(stdout, /^Account 549755885199 works: Pinterest took a test event\.$/m)
  t.match(stdout, `Console: ${stand.relay.adminUrl}/, with the token in ADMIN_TOKEN`)
  t.match(stdout, `base URL ${stand.relay.publicUrl}/v5 `)
  t.notMatch(stdout + stderr, TOKEN)
  t.match(await stand.admin('GET', '/accounts/549755885199'), { body: { country: 'US' } })

  const [curl] = /^now=.*\}'$/ms.exec(stdout) ?? []
  t.match(curl, /\?test=true'/)
  if (!hasCurl) return
  const { stdout: answer } = await promisify(execFile)('sh', ['-c', curl!])
  t.match(JSON.parse(answer), { num_events_received: 1, num_events_processed: 1 })
})

t.test('asks nothing that the command line says, and answers as JSON', async (t) => {
  const stand = await enter(t)
  const words = ['init', '549755885198', '--country', 'DE', '--label', 'My shop', '--json']
  const { code, stdout } = await createCommandLine(stand)(words, { input: TOKEN })
  t.equal(code, 0)
  const answer = JSON.parse(stdout) as { key: string }
  t.match(answer, { ad_account_id: '549755885198', verification: { works: true }, curl: answer.key })
  t.match(await stand.admin('GET', '/accounts/549755885198'), { body: { label: 'My shop', country: 'DE' } })
  const { keys } = (await stand.admin('GET', '/keys')).body as { keys: { label: string }[] }
  t.ok(keys.some((key) => key.label === 'My shop'))
})

t.test('connects a shop that posts webhooks, and says what to enter there', async (t) => {
  const stand = await enter(t)
  t.teardown(async () => {
    const { sources } = (await stand.admin('GET', '/sources')).body as { sources: { id: string }[] }
    await Promise.all(sources.map(({ id }) => stand.admin('DELETE', `/sources/${id}`)))
  })
  const relay = createCommandLine(stand)
  const post = async (printed: string, secret: string, headersOf: typeof shopifyHeaders) => {
    const [, path] = /^Address: https:\/\/YOUR-RELAY(\/sources\/[a-z]+-[0-9a-f]{8}) /m.exec(printed) ?? []
    const request = { method: 'POST', headers: headersOf(secret, '{}'), body: '{}' }
    return (await fetch(`${stand.relay.publicUrl}${path}`, request)).status
  }
  const shopify = await relay('init 549755885197 --country US --source shopify', {
    input: `${TOKEN}\nthe-secret-of-shopify\n`,
  })
  t.match(shopify, { code: 0, stdout: /^In Shopify: .*Order creation/m })
  t.notMatch(shopify.stdout, /the-secret-of-shopify/)
  t.equal(await post(shopify.stdout, 'the-secret-of-shopify', shopifyHeaders), 200)

  const environment = { ADMIN_PUBLIC_URL: 'https://console.example' }
  const typed = ['549755885196', 'US', 'woocommerce']
  const woo = await relay('init', { environment, typed, input: TOKEN })
  t.match(woo.stdout, /^Console: https:\/\/console\.example\/, /m)
  t.match(woo, { code: 0, stdout: /^In WordPress: .*Order created/m })
  const [, secret = ''] = /^Secret, which is not shown again: (\w+)$/m.exec(woo.stdout) ?? []
  t.equal(await post(woo.stdout, secret, wooHeaders), 200)
  t.equal(await post(woo.stdout, 'another', wooHeaders), 401)

  t.match(await relay('init 1 --source shopify', { input: TOKEN }), { code: 2, stderr: /second line/ })
  t.match(await relay('init 1 --source magento', { input: TOKEN }), { code: 2, stderr: /custom-sources/ })
})

t.test('each answer is checked when it is given, and asked for again', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  const typed = ['abc', '549755885194', '888', 'UK', 'US', 'magento', '']
  const asked = await relay('init', { typed, input: TOKEN })
  t.match(asked, { code: 0, stdout: /^Account 549755885194 works/m })
  t.match(asked.stdout, /^A shop that can only post webhooks .* docs\/custom-sources\.md/m)
  t.match(
    asked.stderr,
    /^The ad account ID is a number.*\nThe country takes .*\nThe country takes .* did you mean GB\?\nThe shop is shopify or woocommerce\. Any other gets a key/,
  )
  t.match(await relay('init abc', { input: TOKEN }), { code: 2, stderr: /is a number/ })
  t.match(await relay('init 7 --country 888', { input: TOKEN }), { code: 2, stderr: /The country takes/ })
})

t.test('a token that Pinterest refuses gets no key', async (t) => {
  const stand = await setUp(t, {}, { tokens: [] })
  const { code, stdout } = await createCommandLine(stand)('init 549755885195', { input: TOKEN })
  t.equal(code, 3)
  t.match(stdout, /^Account \d+ is registered, but no test event was taken: .*\nRun init again\.$/)
  t.match(await createCommandLine(stand)(`init ${ACCOUNT}`, { input: TOKEN }), {
    code: 3,
    stderr: /so the account keeps the one that ends with/,
  })
  t.match(await stand.admin('GET', '/keys'), { body: { keys: { length: 1 } } })
})

t.test(
  'says what is missing where nobody can be asked, and first of all whether the relay runs',
  async (t) => {
    const relay = createCommandLine(await enter(t))
    t.match(await relay('init', { input: TOKEN }), { code: 2, stderr: /takes the ad account ID/ })
    t.match(await relay('init 4711', {}), { code: 2, stderr: /No token came/ })
    t.match(await relay('init 4711 4712'), { code: 2, stderr: /one id at most/ })
    const nowhere = { environment: { ADMIN_URL: 'http://127.0.0.1:1' }, typed: ['4711'], input: TOKEN }
    t.match(await relay('init', nowhere), { code: 1, stderr: /^Nothing answers/ })
  },
)
