import t from 'tap'
import { createCommandLine } from '../cli/stage.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, enter, postHeld, setUp } from '../support/relay.ts'

t.test('the live view has the totals, the store, and what is most urgent', async (t) => {
  const stand = await setUp(t)
  await stand.admin('PUT', '/accounts/7', { access_token: 'pina_seven_0123456789' })
  await stand.post({ data: [rawEvent()] })
  stand.sandbox.tokens.set([{ accessToken: 'pina_seven_0123456789' }])
  await postHeld(stand, 'unauthorized', 2)
  // A look at the store serves for two seconds; this one is the first.
  const { status, body } = await stand.admin('GET', '/live')
  t.equal(status, 200)
  t.match(body, {
    problem: null,
    problem_means: null,
    step_seconds: 5,
    totals: { received: 3, delivered: 1, queued: 2 },
    store: { full: false },
    accounts: 2,
    queue_count: 1,
    queues: [
      {
        ad_account_id: ACCOUNT,
        label: 'test shop',
        test: false,
        status: 'unauthorized',
        urgency: 3,
        means: 'Pinterest does not know the token.',
        action: 'token',
        queued: 2,
        call_limiter: { capacity: 250 },
        post_limiter: { capacity: 5000, level: Number },
      },
    ],
  })
  t.notMatch(JSON.stringify(body), /pina_|example\.com/)
  const ofAccount = async (id: string) =>
    (await stand.admin('GET', `/live?ad_account_id=${id}`)).body['queues']
  t.match(await ofAccount(ACCOUNT), { length: 1 }, 'also of an account that is not among the first')
  t.same(await ofAccount('7'), [])
  for (const query of ['since=x', 'since=-1', 'until=3']) {
    t.equal((await stand.admin('GET', `/live?${query}`)).status, 400, query)
  }
})

t.test("the console's files are there for everybody, and nothing else is", async (t) => {
  const stand = await enter(t)
  const get = (path: string) => fetch(stand.relay.adminUrl + path)
  const page = await get('/')
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), /^text\/html/)
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, "default-src 'none'")
  t.notMatch(policy, /unsafe|\*|https?:/)
  const text = await page.text()
  const referred = [...text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path!)
  t.ok(referred.length >= 4)
  for (const path of referred) t.equal((await get(path)).status, 200, path)
  for (const path of [
    '/console/tsconfig.json',
    '/console/uplot.d.ts',
    '/console/..%2Fmain.ts',
    '/console/nope.js',
  ]) {
    t.equal((await get(path)).status, 404, path)
  }
  for (const path of ['/live', '/volume', '/accounts']) t.equal((await get(path)).status, 401, path)
})

t.test('volume is shown over HTTP and by the command', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  await stand.post({ data: [rawEvent(), rawEvent({ event_name: 'signup' })] })
  await stand.post({ data: [rawEvent()] }, { query: '?test=true' })
  const { body } = await stand.admin('GET', `/volume?ad_account_id=${account}`)
  t.match(body, {
    volume: [
      { ad_account_id: account, event_name: 'checkout', state: 'learning', expected: null, hours: [] },
      { event_name: 'signup' },
    ],
  })
  t.same((await stand.admin('GET', '/volume?ad_account_id=1')).body, { volume: [] })
  t.equal((await stand.admin('GET', '/volume?ad_account_id=x')).status, 400)
  t.match(await createCommandLine(stand)('volume'), {
    code: 0,
    stdout: new RegExp(`${account} +checkout +learning`),
  })
})
