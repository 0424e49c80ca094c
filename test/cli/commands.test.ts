import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { STATUSES, type AccountStatus } from '../../src/delivery/queue-status.ts'
import { readMetrics } from '../support/admin.ts'
import { makeFolder } from '../support/at-exit.ts'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, ADMIN_TOKEN, enter, postHeld, setUp, TOKEN } from '../support/relay.ts'
import { shopifyOrder } from '../support/shop-payloads.ts'
import { createCommandLine } from './stage.ts'

type Respond = (response: ServerResponse, path: string) => void

const OTHER = '549755885176'
const SECRET = 'pina_A_TOKEN_THAT_NOBODY_MAY_SEE_4711'
/** With text that does not compress. */
const bulkyEvent = () =>
  rawEvent({ event_source_url: `https://shop.example/${randomBytes(300).toString('base64url')}` })

t.test(
  'an account is registered, listed, verified, paused, resumed and removed; its token is never shown',
  async (t) => {
    const stand = await enter(t)
    const relay = createCommandLine(stand)
    const all: string[] = []
    const run = async (words: string, input = '') => {
      const ended = await relay(words, { input })
      all.push(ended.stdout, ended.stderr)
      return ended
    }
    const set = await run(
      `account set ${OTHER} --label shop --country US --dob-format DMY --bots filter --event-names {"Kauf":"checkout"} --posts-per-minute 70`,
      `${SECRET}\n`,
    )
    t.match(set, {
      code: 0,
      stdout: `account ${OTHER} is set, its token ends with 4711\nPinterest took a test event: the token works`,
    })
    const listed = JSON.parse((await run('account list --json')).stdout) as { accounts: object[] }
    t.match(
      listed.accounts.find((account) => 'ad_account_id' in account && account.ad_account_id === OTHER),
      {
        label: 'shop',
        country: 'US',
        dob_format: 'DMY',
        bots: 'filter',
        event_names: { Kauf: 'checkout' },
        posts_per_minute: 70,
        token: { last4: '4711' },
      },
    )
    const kept = await run(`account set ${OTHER} --keep-token --label other`)
    t.match(kept, { code: 0, stdout: /ends with 4711$/ })
    t.match((await run('account list')).stdout, /549755885176 +other +given +4711/)
    t.match(await run(`account verify ${OTHER}`), { code: 0, stdout: /549755885176 +yes +200/ })
    t.match(await run('account verify'), {
      code: 0,
      stdout: new RegExp(`^ACCOUNT +WORKS +STATUS +MESSAGE\\n.*${stand.account} +yes`, 's'),
    })
    t.match(await run(`account pause ${OTHER}`), { code: 0, stdout: `account ${OTHER} is paused` })
    t.match(await run(`account resume ${OTHER}`), { code: 0, stdout: `account ${OTHER} is resumed` })
    t.match(await run(`account rm ${OTHER}`), { code: 0 })
    t.match(await run(`account rm ${OTHER}`), {
      code: 1,
      stderr: `The relay answered 404: There is no account ${OTHER}.`,
    })
    t.notOk(all.join('\n').includes(SECRET))
  },
)

t.test('a grant is read as JSON from standard input', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  const oauth = { client_id: '1234', client_secret: 'secret-of-the-app' }
  const set = await relay(`account set ${OTHER} --oauth`, { input: JSON.stringify(oauth) })
  t.match(set, {
    code: 0,
    stdout: /^account 549755885176 is set\nnothing is sent before somebody consents at http:.*\/authorize$/,
  })
  const environment = { ADMIN_PUBLIC_URL: 'https://ops.example' }
  const again = await relay(`account set ${OTHER} --oauth`, { input: JSON.stringify(oauth), environment })
  t.match(again.stdout, 'at https://ops.example/accounts/549755885176/authorize', "the browser's address")
  t.match(await relay(`account mint ${OTHER}`), { code: 1, stderr: /409/ })
  t.match(await relay(`account set ${OTHER} --oauth`, { input: 'no JSON' }), {
    code: 2,
    stderr: /must hold JSON/,
  })
  t.match(await relay(`account set ${OTHER}`, { input: '' }), { code: 2, stderr: /No token/ })
})

t.test('commands that a text names are those that work where it was typed', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  const set = async (environment: Readonly<Record<string, string>>) => {
    const line = { environment, input: 'secret-of-the-shop' }
    return (await relay(`source set cli-typed --kind shopify --account ${stand.account}`, line)).stdout
  }
  t.match(await set({}), /^relay source webhooks cli-typed shows/m)
  const environment = { npm_lifecycle_event: 'relay' }
  t.match(await set(environment), /^npm run --silent relay -- source webhooks cli-typed shows/m)
  t.match((await relay('erase --order 1', { environment })).stderr, 'npm run --silent relay -- event ID')
  t.match((await relay('unknown', { environment })).stderr, 'npm run --silent relay -- --help lists')
  const minted = await relay(`account mint ${stand.account}`, { environment })
  t.match(minted.stderr, 'no grant: npm run --silent relay -- account set ID --oauth')
  await relay('source rm cli-typed')
  await relay(`account pause ${stand.account}`)
  const lines = (await relay('status', { environment })).stdout.split('\n')
  const row = lines.find((line) => line.startsWith(stand.account)) ?? ''
  const remedy = `npm run --silent relay -- account resume ${stand.account}`
  t.equal(row.indexOf(remedy), lines.find((line) => line.startsWith('ACCOUNT'))?.indexOf('WHAT TO DO'))
  t.equal(
    row.indexOf('-', row.indexOf(remedy) + remedy.length),
    lines.find((line) => line.startsWith('ACCOUNT'))?.indexOf('LAST FAILURE'),
  )
})

t.test(
  'an option that a command needs is asked for, and what is given for one is read as its kind',
  async (t) => {
    const relay = createCommandLine()
    for (const [words, stderr] of [
      ['explain -', 'explain needs --account ID.'],
      ['send - --test', 'send needs --account ID.'],
      ['source try - --topic orders/create', 'source try needs --source ID.'],
      ['account move 1', 'account move needs --to CELL.'],
      ['account set 1 --posts-per-minute many', '--posts-per-minute takes a number.'],
      ['account set 1 --event-names Kauf', '--event-names takes JSON.'],
      ['quality --hours 1.5', '--hours takes a number.'],
    ] as const)
      t.match(await relay(words), { code: 2, stderr })
    t.match(await relay('erase --yes'), { code: 2, stderr: 'Give --order or --event-id.' })
  },
)

t.test('a source is set, tried, listed and removed; its secret is never shown', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  const folder = makeFolder(t)
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text)
    return `'${join(folder, name)}'`
  }
  const settings = await file('settings.json', '{"event_id": "{checkout_token}", "renewals": "send"}')
  const set = await relay(
    `source set cli-shop --kind shopify --account ${stand.account} --label shop --settings ${settings}`,
    { input: `${SECRET}\n` },
  )
  t.match(set, { code: 0, stdout: /^Address: https:\/\/YOUR-RELAY\/sources\/cli-shop .*\nIn Shopify: /m })
  const [, next = ''] = /^relay (source [a-z]+ cli-shop) shows/m.exec(set.stdout) ?? []
  t.match(await relay(next), { code: 0, stdout: 'no webhook came since the relay started' })
  t.match(await relay('source set cli-shop --keep-secret --drop-previous-secret --label other'), {
    code: 0,
    stdout: 'source cli-shop is set',
  })
  t.match(JSON.parse((await relay('source list --json')).stdout), {
    sources: [{ id: 'cli-shop', label: 'other', event_id: '{checkout_token}', renewals: 'send' }],
  })
  const order = await file('order.json', JSON.stringify(shopifyOrder(new Date(0))))
  t.match(await relay(`source try ${order} --source cli-shop --topic orders/create`), {
    code: 0,
    stdout: /^event 0: checkout tok-4711-abc\n[^]*"order_id":"4711"/,
  })
  t.match(await relay(`source try ${order} --source cli-shop --topic orders/updated`), {
    code: 3,
    stdout: 'event 0: filtered, not_mapped: no event is set for this topic',
  })
  const expression = await file(
    'e.jsonata',
    '{"event_name": headers.x, "event_time": body.t, "event_id": body.id, "action_source": "web", "user_data": {"em": body.mail}}',
  )
  const custom = await file('custom.json', '{"signature": {"header": "X-Sign"}}')
  const words = `source set cli-own --kind custom --account ${stand.account} --settings ${custom} --expression ${expression}`
  t.match(await relay(words, { input: SECRET }), { code: 0 })
  const tried = await relay(['source', 'try', '-', '--source', 'cli-own', '--headers', '{"X": "lead"}'], {
    input: '{"t": 1, "id": "i", "mail": "a@b.example"}',
  })
  t.match(tried, { code: 0, stdout: /^event 0: lead i\n/ })
  t.match((await relay('source list')).stdout, /cli-own +custom/)
  t.match(await relay('source webhooks cli-own'), { code: 0, stdout: /^no webhook came/ })
  for (const id of ['cli-wc-1', 'cli-wc-2'])
    t.match(
      await relay(`source set ${id} --kind woocommerce --account ${stand.account}`, {
        input: 'a secret of wc',
      }),
      { code: 0, stderr: id === 'cli-wc-1' ? '' : /^source cli-wc-2: its event ids are/ },
    )
  await fetch(`${stand.relay.publicUrl}/sources/cli-wc-1`, { method: 'POST', body: '{}' })
  t.match(await relay('source webhooks cli-wc-1'), { stdout: /refused +wrong_signature/ })
  t.match((await relay('status')).stdout, /source cli-wc-1: its event ids are/)
  for (const id of ['cli-wc-1', 'cli-wc-2']) t.match(await relay(`source rm ${id}`), { code: 0 })
  t.match(await relay('source set cli-own', { input: '' }), { code: 2, stderr: /No secret/ })
  t.match(await relay(`source set cli-own --keep-secret --settings ${expression}`), {
    code: 2,
    stderr: /JSON/,
  })
  for (const id of ['cli-shop', 'cli-own']) t.match(await relay(`source rm ${id}`), { code: 0 })
  t.match(await relay('source rm cli-own'), { code: 1 })
  t.match(await relay('source list'), { stdout: 'no sources' })
})

t.test('a token on the command line is refused, and not repeated', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  for (const words of [
    `account set ${OTHER} ${SECRET}`,
    `account set ${OTHER} --token ${SECRET}`,
    `account set ${OTHER} --access-token=${SECRET}`,
  ]) {
    const ended = await relay(words)
    t.equal(ended.code, 2)
    t.notOk(`${ended.stdout}${ended.stderr}`.includes(SECRET))
  }
})

t.test('a token that does not work ends with 3, and status says who must do what', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  t.match(await relay('status'), {
    code: 0,
    stdout: /^posts are taken\naccounts: 1, paused: 0, in trouble: 0\n\nevery queue sends\n/,
  })
  stand.sandbox.tokens.set([])
  t.match(await relay(`account verify ${ACCOUNT}`), { code: 3, stdout: /549755885175 +no +401/ })
  t.match(await relay(`account set ${OTHER}`, { input: SECRET }), {
    code: 3,
    stdout: /is set, its token ends with 4711\nPinterest did not take a test event \(401\): /,
  })
  t.match(JSON.parse((await relay(`account set ${OTHER} --json`, { input: SECRET })).stdout), {
    verification: { works: false, status: 401 },
  })
  t.match(await relay(`account set ${OTHER} --no-verify`, { input: SECRET }), { code: 0, stdout: /4711$/ })
  await relay(`account rm ${OTHER}`)
  await postHeld(stand, 'unauthorized')
  const status = await relay('status')
  t.match(status, {
    code: 3,
    stdout: /549755885175 +live +unauthorized .* relay account verify 549755885175 shows why/,
  })
  t.match(status.stdout, /RECEIVED +DELIVERED[^\n]+INVALID\n +1 +0 /)
  t.match(JSON.parse((await relay('status --json')).stdout), {
    needs_person: true,
    totals: { received: 1, queued: 1 },
  })
})

t.test('a token that works is not replaced by one that Pinterest refuses', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  stand.sandbox.tokens.set([{ accessToken: TOKEN }])
  const endsWith = async () => {
    const { token } = (await stand.admin('GET', `/accounts/${ACCOUNT}`)).body as { token: { last4: string } }
    return token.last4
  }
  const refused = await relay(`account set ${ACCOUNT} --label new`, { input: 'pina_wrong_1234' })
  t.match(refused, {
    code: 3,
    stdout: '',
    stderr: new RegExp(
      `Pinterest refuses it \\(401\\), so the account keeps the one that ends with ${TOKEN.slice(-4)}: .*\nWith --force the new one`,
    ),
  })
  t.equal(await endsWith(), TOKEN.slice(-4))
  t.match(await relay(`account set ${ACCOUNT} --keep-token --label new`), { code: 0 })
  t.match(await relay(`account set ${ACCOUNT} --force`, { input: 'pina_wrong_1234' }), {
    code: 3,
    stdout: new RegExp(
      `is set, its token ends with 1234\nPinterest did not take a test event \\(401\\): .*\nrelay account verify ${ACCOUNT} asks again; relay account set ${ACCOUNT} takes another token$`,
    ),
  })
  t.match(await relay(`account set ${ACCOUNT}`, { input: TOKEN }), { code: 0 })
  stand.sandbox.faults.set([{ kind: 'status', status: 503 }])
  t.match(await relay(`account set ${ACCOUNT}`, { input: 'pina_another_5678' }), {
    code: 3,
    stdout: /is set/,
  })
  t.equal(await endsWith(), '5678', 'without an answer it is set')
})

t.test('status ends with 3 while posts are refused, and its first line says why', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  t.match(await relay('status'), { code: 0 })
  stand.sandbox.faults.set([{ kind: 'status', status: 500 }])
  for (let post = 0; post < 5; post++) {
    const data = Array.from({ length: 500 }, bulkyEvent)
    await stand.post({ data }, { headers: { prefer: 'wait=0' } })
  }
  await stand.restart({ STORE_LIMIT_BYTES: String(1024 ** 2) })
  await until(async () => (await stand.admin('GET', '/live')).body['problem'] !== null)
  t.match(await relay('status'), { code: 3, stdout: /^PROBLEM: store_full\. Posts get 503/ })
  t.match(JSON.parse((await relay('status --json')).stdout), {
    problem: 'store_full',
    needs_person: false,
    accounts: [{ ad_account_id: ACCOUNT }],
    totals: { received: Number },
  })
})

t.test('status names the account that is over its share, which alone is refused', async (t) => {
  const stand = await setUp(t, { STORE_LIMIT_BYTES: String(1024 ** 2) })
  const relay = createCommandLine(stand)
  await stand.admin('PUT', `/accounts/${OTHER}`, { access_token: SECRET })
  const { body } = await stand.admin('POST', '/keys', { label: 'other', ad_account_ids: [OTHER] })
  const other = { account: OTHER, key: String(body['key']) }
  stand.sandbox.faults.set([{ kind: 'status', status: 500 }])
  // Small beside the limit: the WAL of a large post would fill the store before the account is over its share.
  for (let size = 100, isOver = false; !isOver;) {
    const data = Array.from({ length: size }, bulkyEvent)
    const { status } = await stand.post({ data }, { headers: { prefer: 'wait=0' } })
    if (status === 503) size = Math.ceil(size / 2)
    const { problems } = (await stand.admin('GET', `/accounts/${ACCOUNT}`)).body as { problems: object[] }
    isOver = problems.some((problem) => 'status' in problem && problem.status === 'over_share')
  }
  t.match(await stand.post({ data: [rawEvent()] }), { status: 503, body: { code: 4197 } })
  t.match(await stand.post({ data: [rawEvent()] }, { ...other, headers: { prefer: 'wait=0' } }), {
    status: 202,
  })
  t.equal((await fetch(`${stand.relay.publicUrl}/readyz`)).status, 200)
  const status = await relay('status')
  t.match(status, { code: 3, stdout: /^posts are taken, but not those of 1 account\(s\) over their share/ })
  t.match(status.stdout, /549755885175 +- +over_share +- +repair its queues/)
  t.notMatch(status.stdout, new RegExp(`${OTHER}.*over_share`))
  t.match(JSON.parse((await relay('status --json')).stdout), { problem: null, accounts_over_share: 1 })
  t.match(await readMetrics(stand.admin), `pinrelay_account_over_share{ad_account_id="${ACCOUNT}"} 1\n`)
})

t.test('status shows accounts in trouble that have no queue', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const relay = createCommandLine(stand)
  await stand.admin('PUT', `/accounts/${OTHER}`, { access_token: SECRET, label: 'shop' })
  await stand.admin('POST', `/accounts/${OTHER}/pause`)
  const oauth = { client_id: '1234', client_secret: 'secret-of-the-app' }
  await stand.admin('PUT', '/accounts/7', { oauth })
  const { code, stdout } = await relay('status')
  t.equal(code, 3)
  t.match(stdout, /^posts are taken\naccounts: 3, paused: 1, in trouble: 2\n/)
  t.match(stdout, /549755885176 +- +paused +- +relay account resume 549755885176 +shop/)
  t.match(stdout, /7 +- +no_token +- +consent at/)
  t.notMatch(stdout, account)
  t.notMatch(stdout, 'every queue sends')
  t.match(JSON.parse((await relay('status --json')).stdout), {
    problem: null,
    paused_accounts: 1,
    accounts_in_trouble: 2,
    needs_person: true,
  })
})

t.test('status of a thousand accounts is a screen, whatever happens to them', async (t) => {
  const account = (n: number, more: object = {}) => ({
    ad_account_id: String(n),
    label: '',
    paused: false,
    token: { kind: 'given', last_failure: null },
    grant: null,
    problems: [],
    queues: [queue('sending')],
    ...more,
  })
  const queue = (status: AccountStatus) => ({ test: false, ...of(status), next_try_in_seconds: 9 })
  const of = (status: AccountStatus) => ({ status, ...STATUSES[status] })
  const statusOf = async (more: (n: number) => object, live: object = { problem: null }) => {
    const accounts = Array.from({ length: 1000 }, (_, n) => account(n, more(n)))
    const answers: Readonly<Record<string, object>> = {
      '/accounts': { accounts },
      '/totals': { received: 4711 },
      '/volume': { volume: [] },
      '/sources': { sources: [] },
      '/live': { cell: null, queues: [], ...live },
    }
    const ADMIN_URL = await listen(
      t,
      (response, path) => void response.end(JSON.stringify(answers[path.split('?')[0]!])),
    )
    const ended = await createCommandLine()('status', { environment: { ADMIN_URL, ADMIN_TOKEN } })
    return { ...ended, lines: ended.stdout.split('\n').length }
  }

  const few = await statusOf((n) => (n === 999 ? { problems: [of('reauthorize')] } : {}))
  t.match(few, {
    code: 3,
    stdout:
      /\naccounts: 1000, paused: 0, in trouble: 1\n[^]*\n999 +- +reauthorize .* open http:.*:\d+\/accounts\/999\/authorize in/,
  })
  t.ok(few.lines < 12, `${few.lines} lines`)

  const down = await statusOf((n) => ({ queues: [queue(n === 999 ? 'forbidden' : 'pinterest_down')] }))
  t.match(down, {
    code: 3,
    stdout: /\nACCOUNT .*\n999 +live +forbidden .*\n0 +live +pinterest_down +9 s +wait .*\n/,
  })
  t.match(down.stdout, '\nand 950 more: account list shows all accounts\n')
  t.ok(down.lines < 64, `${down.lines} lines`)

  const waiting = await statusOf(() => ({ queues: [queue('rate_limited')] }))
  t.equal(waiting.code, 0, 'what goes on by itself needs nobody')

  const away = await statusOf(() => ({}), {
    problem: 'store_unavailable',
    problem_means: 'Posts get 503.',
    totals: null,
  })
  t.match(away, {
    code: 3,
    stdout: /^PROBLEM: store_unavailable\. Posts get 503\.\n[^]*the totals cannot be read$/,
  })
})

t.test('all accounts are verified one by one, a few at once, and progress is reported', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  const ids = Array.from({ length: 44 }, (_, n) => String(7000 + n))
  for (const id of ids) await stand.admin('PUT', `/accounts/${id}`, { access_token: `pina_of_account_${id}` })
  const all = await relay('account verify --json')
  t.match(all, { code: 0, stderr: '20 of 45 verified\n40 of 45 verified' })
  const { verifications } = JSON.parse(all.stdout) as { verifications: { ad_account_id: string }[] }
  t.strictSame(verifications.map(({ ad_account_id: id }) => id).toSorted(), [ACCOUNT, ...ids].toSorted())
  t.match(verifications[0], { works: true, status: 200, message: String })
})

t.test(
  'eight accounts are verified at once; a failure ends it, an account that was removed meanwhile does not',
  async (t) => {
    const ids = Array.from({ length: 40 }, (_, n) => String(n))
    const asked: string[] = []
    let open: { readonly path: string; readonly response: ServerResponse }[] = []
    let mostOpen = 0
    let isBroken = false
    const answer = (response: ServerResponse, status: number, body: object) =>
      response.writeHead(status).end(JSON.stringify(body))
    const url = await listen(t, (response, path) => {
      if (path === '/accounts') {
        answer(response, 200, { accounts: ids.map((id) => ({ ad_account_id: id })) })
        return
      }
      asked.push(path)
      open.push({ path, response })
      mostOpen = Math.max(mostOpen, open.length)
      // None is answered before eight wait; a ninth would be there before the answers are.
      if (open.length === 8) setImmediate(answerAll)
    })
    function answerAll(): void {
      const waiting = open
      open = []
      const [first] = waiting
      if (isBroken) {
        answer(first!.response, 500, { message: 'broken' })
        open = waiting.slice(1)
        return
      }
      for (const { path, response } of waiting) {
        if (path === '/accounts/3/verify') answer(response, 404, { message: 'not here' })
        else answer(response, 200, { works: true, status: 200, message: 'fine' })
      }
    }
    const verify = () =>
      createCommandLine()('account verify', { environment: { ADMIN_URL: url, ADMIN_TOKEN } })

    t.match(await verify(), { code: 3, stdout: /\n3 +no +- +The account was removed meanwhile/ })
    t.equal(asked.length, ids.length)
    t.equal(mostOpen, 8)

    isBroken = true
    asked.length = 0
    t.match(await verify(), { code: 1, stdout: '', stderr: 'The relay answered 500: broken' })
    for (const { response } of open) answer(response, 200, { works: true, status: 200, message: 'fine' })
    // What would be asked next would be here before these.
    for (let n = 0; n < 10; n++) await (await fetch(`${url}/accounts`)).text()
    t.equal(asked.length, 8)
  },
)

t.test('keys are made, shown once, listed and removed', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const relay = createCommandLine(stand)
  const made = await relay(`key create ${account} --label till`)
  t.equal(made.code, 0)
  t.equal(
    (await stand.post({ data: [rawEvent()] }, { key: made.stdout })).status,
    200,
    'the key alone is printed',
  )
  const listed = await relay('key list')
  t.notOk(listed.stdout.includes(made.stdout))
  t.match(listed.stdout, /^\S+ +prl_\S+ +till .* 2\d{3}-\S+Z +2\d{3}-\S+Z$/m)
  t.equal((await relay(`key create ${account} --label unused`)).code, 0)
  t.match((await relay('key list')).stdout, /^\S+ +prl_\S+ +unused .* not since 2\d{3}-\S+Z$/m)
  const id = /^(\S+) +prl_\S+ +till/m.exec(listed.stdout)?.[1]
  t.match(await relay(`key rm ${id}`), { code: 0 })
  t.equal((await stand.post({ data: [rawEvent()] }, { key: made.stdout })).status, 401)
  t.match(await relay(`key create ${account},404`), { code: 1, stderr: /there is no account 404\.$/ })
  t.match(await relay('key rm 404'), { code: 1, stderr: /404: There is no key with this id\.$/ })
})

t.test('a country is checked, and never guessed', async (t) => {
  const relay = createCommandLine(await enter(t))
  const set = (country: string) =>
    relay(`account set ${OTHER} --no-verify --country ${country}`, { input: SECRET })
  for (const [given, meant] of [
    ['USA', '; did you mean US?'],
    ['uk', '; did you mean GB?'],
    ['Deutschland', '; did you mean DE?'],
    ['XX', '.'],
  ]) {
    t.match(await set(given!), {
      code: 1,
      stderr: `The relay answered 400: country: takes a code of ISO 3166-1 alpha-2, such as US${meant}`,
    })
  }
  t.match(await set('us'), { code: 0 })
})

t.test('a failure is JSON for programs', async (t) => {
  const relay = createCommandLine(await enter(t))
  const errorOf = async (words: string) => {
    const { code, stdout, stderr } = await relay(words)
    t.equal(stdout, '')
    return { exit: code, ...(JSON.parse(stderr) as { error: object }) }
  }
  t.match(await errorOf('account verify 404 --json'), {
    exit: 1,
    error: { code: 'NOT_FOUND', message: 'The relay answered 404: There is no account 404.' },
  })
  t.match(await errorOf('nothing --json'), { exit: 2, error: { code: 'USAGE' } })
})

t.test(
  'dead letters are listed by filter, replayed and purged, in as many requests as it takes',
  async (t) => {
    const stand = await enter(t)
    const relay = createCommandLine(stand)
    stand.sandbox.faults.set([{ kind: 'failEvents', message: 'no good' }])
    for (let n = 0; n < 3; n++) await stand.post({ data: [rawEvent(), rawEvent({ event_name: 'signup' })] })
    t.match(await relay('dead list --event signup --limit 2'), { code: 0, stderr: /there are more/ })
    const deadLetters = JSON.parse((await relay('dead list --json')).stdout) as {
      dead_letters: { id: number }[]
    }
    t.equal(deadLetters.dead_letters.length, 6)
    t.match(await relay('dead purge --all'), {
      code: 0,
      stdout: '6 would be deleted for good: add --yes',
    })
    t.match(await relay('dead purge'), { code: 2, stderr: /ids, a filter, or --all/ })
    t.match(await relay('dead replay'), { code: 2, stderr: /ids, a filter, or --all/ })
    t.match(await relay(`dead purge ${deadLetters.dead_letters[0]!.id} --yes`), {
      code: 0,
      stdout: '1 deleted',
    })
    stand.sandbox.faults.clear()
    t.match(await relay('dead groups --event checkout'), {
      code: 0,
      stdout: /\n +3 +1 +rejected .* no good$/,
    })
    t.match(await relay('dead replay --event checkout'), {
      code: 0,
      stdout: '3 would be queued again, 0 are too old and would stay: add --yes',
    })
    t.match(await relay('dead groups --event checkout'), { stdout: /\n +3 +1 / }, 'none went')
    t.match(await relay('dead replay --event checkout --live --yes'), {
      code: 0,
      stdout: /^3 queued again/,
    })
    t.match(await relay('dead groups'), { stdout: /\n +2 +1 / })
    t.match(await relay('dead purge --all --yes'), { code: 0, stdout: '2 deleted' })
    t.match(await relay('dead list'), { code: 0, stdout: 'no dead letters' })
    t.match(await relay('dead groups'), { code: 0, stdout: 'no dead letters' })
    for (const words of [
      'dead replay 99999',
      'dead replay 99999,99999 --yes',
      'dead purge 99999',
      'dead purge 99999 --yes',
    ])
      t.match(await relay(words), { code: 3, stderr: 'of the given ids, no dead letter: 1' }, words)
    t.match(await relay('dead replay x --all'), { code: 2, stderr: /Ids are numbers/ })
  },
)

t.test('more dead letters are listed than one request may ask for', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  stand.sandbox.faults.set([{ kind: 'failEvents', message: 'no good' }])
  const most = Array.from({ length: 1000 }, () => rawEvent())
  await stand.post({ data: most })
  await stand.post({ data: [rawEvent(), rawEvent(), rawEvent()] })
  const list = async (limit: number) => {
    const { code, stdout, stderr } = await relay(`dead list --json --limit ${limit}`)
    const { dead_letters: deadLetters, next_cursor: cursor } = JSON.parse(stdout) as {
      dead_letters: { id: number }[]
      next_cursor: string | null
    }
    return { code, count: new Set(deadLetters.map(({ id }) => id)).size, cursor, stderr }
  }
  t.match(await list(1002), { code: 0, count: 1002, cursor: String, stderr: /there are more/ })
  t.strictSame(await list(5000), { code: 0, count: 1003, cursor: null, stderr: '' })
  for (const limit of ['-1', 'all', '1.5']) {
    t.match(await relay(`dead list --limit=${limit}`), { code: 2, stderr: /--limit takes a number/ }, limit)
  }
  t.match(await relay('dead list --limit 0'), { code: 1, stderr: /limit: must be 1 to/ })
})

t.test(
  'files of events are sent and explained in three forms, and customer data is never quoted',
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    const relay = createCommandLine(stand)
    const folder = makeFolder(t)
    const path = join(folder, 'events')
    const good = () => rawEvent({ user_data: { em: 'Jane.Roe@example.com', zp: '94107-1234' } })
    const bad = { ...good(), action_source: 'telepathy' }
    for (const text of [
      JSON.stringify({ data: [good(), bad] }),
      JSON.stringify([good(), bad]),
      `${JSON.stringify(good())}\n\n${JSON.stringify(bad)}\n`,
      `\ufeff${JSON.stringify({ data: [good(), bad] })}`,
      `\ufeff${JSON.stringify(good())}\r\n${JSON.stringify(bad)}\r\n`,
    ]) {
      await writeFile(path, text)
      const sent = await relay(['send', path, '--account', account])
      t.match(sent, { code: 3, stdout: /^1 of 2 events taken\nevent 1: action_source: must be one of/ })
      const explained = await relay(['explain', path, '--account', account])
      t.match(explained, {
        code: 3,
        stdout: /em +J•••\.•••@e••••••\.com +j•••\.•••@e••••••\.com +[0-9a-f]{12}…/,
      })
      t.match(explained.stdout, /event 1: checkout \S+: invalid, unknown_action_source/)
      t.notMatch(explained.stdout, /jane|roe|94107/i)
    }
    await stand.admin('PUT', `/accounts/${account}`, { bots: 'filter' })
    const bot = rawEvent({ user_data: { em: 'Jane.Roe@example.com', client_user_agent: 'curl/8.5.0' } })
    t.match(await relay(`explain - --account ${account}`, { input: JSON.stringify([bot]) }), {
      code: 3,
      stdout: /^event 0: checkout \S+: filtered, bot_user_agent: /,
    })
    const typedIn = (environment: Readonly<Record<string, string>>) =>
      relay(`explain events --account ${account}`, { environment: { INIT_CWD: folder, ...environment } })
    t.match(await typedIn({ npm_lifecycle_event: 'relay' }), { code: 3, stdout: /^event 0: checkout/ })
    await t.rejects(
      typedIn({ npm_lifecycle_event: 'nightly' }),
      /ENOENT.*'events'/,
      "another script's folder",
    )
    const utf16 = Buffer.from(`\ufeff${JSON.stringify(good())}`, 'utf16le')
    for (const bytes of [utf16, Buffer.from(utf16).swap16(), utf16.subarray(2)]) {
      await writeFile(path, bytes)
      for (const command of ['send', 'explain']) {
        const refused = await relay([command, path, '--account', account])
        t.match(refused, { code: 2, stderr: /in UTF-16 .* Save it as UTF-8/ })
      }
    }
    await writeFile(path, JSON.stringify([good(), bad]))
    const many = Array.from({ length: 1001 }, () => good())
    const sent = await relay(`send - --account ${account} --json`, { input: JSON.stringify(many) })
    t.match(JSON.parse(sent.stdout), { events: 1001, taken: 1001, failed: [] })
    t.match(sent.stderr, '1001 of 1001 posted')
    await stand.admin('POST', `/accounts/${account}/pause`)
    const waiting = await relay(`send - --account ${account}`, { input: JSON.stringify([good(), good()]) })
    t.match(waiting, { code: 0, stdout: /^2 of 2 events taken, 2 of them queued$/m })
    await stand.admin('POST', `/accounts/${account}/resume`)
    const broken = await relay(`send - --account ${account}`, {
      input: `${JSON.stringify(good())}\n{"em":"jane@`,
    })
    t.match(broken, { code: 2, stderr: 'Line 2 is not JSON.' })
    t.match(await relay(['send', path, '--account', account], { environment: { RELAY_KEY: '' } }), {
      code: 2,
      stderr: /RELAY_KEY/,
    })
    t.match(await relay(['send', path, '--account', account], { environment: { RELAY_KEY: 'wrong' } }), {
      code: 1,
      stderr: /answered 401/,
    })
  },
)

t.test('reseal says what it did; wrong tokens and wrong addresses are reported', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  t.match(await relay('reseal'), {
    code: 0,
    stdout: 'resealed 0 records of the vault and 0 payloads',
    stderr: '',
  })
  const invalid = await relay('reseal', { environment: { ADMIN_TOKEN: 'not the admin token' } })
  t.match(invalid, {
    code: 1,
    stdout: '',
    stderr: 'The relay answered 401: It has another admin token than ADMIN_TOKEN.',
  })
  t.notMatch(invalid.stderr, 'not the admin token')
  t.match(await relay('status', { environment: { ADMIN_URL: 'http://127.0.0.1:1' } }), {
    code: 1,
    stderr: /^Nothing answers at http:\/\/127.0.0.1:1/,
  })
  for (const other of [stand.sandbox.origin, stand.relay.publicUrl])
    t.match(await relay('status', { environment: { ADMIN_URL: other } }), {
      code: 1,
      stderr: `What answers at ${other} is not the relay's admin port: see ADMIN_URL.`,
    })
  for (const url of ['127.0.0.1:8081', 'localhost:8081', 'http://', ''])
    t.match(
      await relay('status', { environment: { ADMIN_URL: url } }),
      { code: 2, stderr: 'ADMIN_URL must be an address such as http://127.0.0.1:8081.' },
      url,
    )
  t.match(await relay('settings', { environment: { ADMIN_URL: '' } }), { code: 0 }, 'which asks no relay')
})

t.test('a purge that only counts speaks of no replay on its way', async (t) => {
  let calls = 0
  const ADMIN_URL = await listen(t, (response) =>
    response.end(JSON.stringify({ replayed: 5, too_old: 1, next_cursor: ++calls === 1 ? '9' : null })),
  )
  t.match(await createCommandLine()('dead purge --all', { environment: { ADMIN_URL, ADMIN_TOKEN } }), {
    code: 0,
    stdout: '12 would be deleted for good: add --yes',
    stderr: '6 counted',
  })
})

t.test('of an event that grew too old no replay is advised, which would leave it where it is', async (t) => {
  const ids = { ad_account_id: '1', event_name: 'checkout', event_id: 'old', order_id: null, key_id: null }
  const event = { ...ids, outcome: 'expired', reason: null, updated_at: 'T', event_time: 'T', source: null }
  const found = { ...event, call_id: null, warnings: [], warnings_mean: [], history: [], queue: null }
  const letter = { ...ids, id: 7, status: 'expired', died_at: 'T', message: 'too old' }
  const answer = { events: [found], dead_letters: [letter], keys: [], next_cursor: null }
  const ADMIN_URL = await listen(t, (response) => response.end(JSON.stringify(answer)))
  t.match(await createCommandLine()('event old', { environment: { ADMIN_URL, ADMIN_TOKEN } }), {
    code: 0,
    stdout: /dead letter +7: too old$/,
  })
})

t.test('a relay that takes too long is told apart from one that is not there', async (t) => {
  const before = getGlobalDispatcher()
  const impatient = new Agent({ headersTimeout: 50, bodyTimeout: 50 })
  setGlobalDispatcher(impatient)
  t.teardown(async () => {
    setGlobalDispatcher(before)
    await impatient.destroy()
  })
  for (const [what, respond] of [
    ['no head', () => {}],
    ['half a body', (response) => void response.write('{')],
  ] satisfies [string, Respond][]) {
    const environment = { ADMIN_URL: await listen(t, respond), ADMIN_TOKEN }
    t.match(
      await createCommandLine()('key list', { environment }),
      {
        code: 1,
        stdout: '',
        stderr: /^No answer from .* within 300 s; what was asked for may still be running/,
      },
      what,
    )
  }
})

t.test('without ADMIN_TOKEN the token beside the store is used', async (t) => {
  const folder = makeFolder(t)
  await writeFile(join(folder, 'relay.admin-token'), `${ADMIN_TOKEN}\n`)
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  const environment = { ADMIN_TOKEN: '', DATABASE_URL: `sqlite:${folder}/relay.db` }
  t.match(await relay('key list', { environment }), { code: 0 })
  const elsewhere = { ADMIN_TOKEN: '', DATABASE_URL: 'sqlite:/nowhere/relay.db' }
  t.match(await relay('key list', { environment: elsewhere }), { code: 2, stderr: /ADMIN_TOKEN must be set/ })
})

t.test('help lists every command, its options, the variables and the exit codes', async (t) => {
  const relay = createCommandLine()
  const help = await relay('--help')
  t.equal(help.code, 0)
  for (const text of [
    'account set',
    'dead purge',
    'recover FILE',
    'ADMIN_TOKEN',
    'RELAY_KEY',
    'exit codes: 0 done',
  ]) {
    t.match(help.stdout, text)
  }
  t.strictSame(
    help.stdout.split('\n').filter((line) => line.length > 120),
    [],
    'its lines fit a terminal',
  )
  t.match(help.stdout, /^ {2}account set ID .*\n {4}\S/m)
  t.match(await relay(''), { code: 2, stderr: /^usage: relay COMMAND/ })
  t.match(await relay('account'), {
    code: 2,
    stderr: /^The command is not complete: one of account set.*account rm\.$/,
  })
  t.match(await relay(SECRET), {
    code: 2,
    stderr: 'There is no such command; relay --help lists them all.',
  })
  t.match(await relay('--version'), { code: 0, stdout: 'pinrelay 1.2.3' })
  t.match(await relay('account set --help'), {
    code: 0,
    stdout: /ID \[--oauth\|--keep-token\] .*--dob-format DMY\|MDY\]/s,
  })
  for (const words of ['account --help', 'help account']) {
    const { code, stdout } = await relay(words)
    t.equal(code, 0, words)
    t.match(stdout, /^ {2}account set .*^ {2}account rm /ms)
    t.notMatch(stdout, /^ {2}key list/m)
  }
  t.match(await relay('help key rm'), { code: 0, stdout: /\n {2}key rm KEY_ID\n/ })
  for (const command of ['send', 'explain']) {
    const usage = await relay(`${command} --help`)
    t.match(
      usage.stdout.replaceAll(/\s+/g, ' '),
      'a JSON list of events, or one event a line; - is standard input',
    )
  }
  t.match(await relay('recover'), { code: 2, stderr: /FILE/ })
  t.match(await relay('reseal everything'), { code: 2, stderr: /takes no arguments/ })
  t.match(await relay('dead list --colour red'), { code: 2, stderr: /^dead list: --colour is unknown; / })
  t.match(await relay(`status --${SECRET}`), {
    code: 2,
    stderr: 'status: an option is unknown; --help shows them.',
  })
  t.match(await relay(`account set 1 --token=${SECRET}`), {
    code: 2,
    stderr: /^account set: --token is unknown/,
  })
})

/** Answers as a relay's admin port might; returns its address. */
async function listen(t: Test, respond: Respond): Promise<string> {
  const server = createServer((request, response) => respond(response, request.url ?? ''))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
