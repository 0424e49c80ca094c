/** The console in a real browser: every action, as a person does it. */
import t from 'tap'
import { STATUSES } from '../../src/delivery/queue-status.ts'
import { CHROMIUM, forgetPast, openPage } from '../support/chromium.ts'
import { rawEvent } from '../support/events.ts'
import { ADMIN_TOKEN, enter, postHeld, setUp, TOKEN } from '../support/relay.ts'
import { makeUpLive } from './picture.ts'
import { logIn, makeHistory, RULES_OF_LOOKS, sendToSource, SHOP_SECRET, violationsOf } from './stage.ts'

if (CHROMIUM === undefined) {
  t.plan(0, 'SKIPPED: there is no Chromium here')
  process.exit(0)
}

t.test('accounts and keys are looked after from the page', async (t) => {
  const stand = await enter(t)
  const { page, problems, origins } = await openPage(t)

  await page.goto(stand.relay.adminUrl)
  await page.getByLabel('Admin token').fill('not the token at all')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('That is not the admin token.').waitFor()
  await logIn(page, stand)
  const stored = await page.evaluate<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])')
  t.notMatch(stored, ADMIN_TOKEN, 'the page does not keep the admin token')
  t.notMatch(await page.content(), ADMIN_TOKEN)

  await page.getByRole('link', { name: 'Accounts' }).click()
  await page.getByRole('button', { name: 'Register an account' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Ad account').fill('42')
  await dialog.getByLabel('Label').fill('A second <b>shop</b>')
  await dialog.getByRole('button', { name: 'Register' }).click()
  await dialog.getByText('access_token: is required').waitFor()
  await dialog.getByLabel('Access token').fill('pina_second_shop_0123456789')
  await dialog.getByLabel('Country', { exact: true }).fill('fr')
  await dialog.getByRole('button', { name: 'Register' }).click()
  const card = page.getByRole('article', { name: 'A second <b>shop</b>' })
  await card.getByText('given, ends in …6789').waitFor()
  t.match((await stand.admin('GET', '/accounts/42')).body, { label: 'A second <b>shop</b>', country: 'FR' })

  await card.getByRole('button', { name: /^Verify/ }).click()
  await page.getByRole('heading', { name: 'The token works' }).waitFor()
  await page.keyboard.press('Escape')
  await card.getByRole('button', { name: /^Pause/ }).click()
  await card.getByText('paused').waitFor()
  t.match((await stand.admin('GET', '/accounts/42')).body, { paused: true })
  await card.getByRole('button', { name: /^Resume/ }).click()
  await card.getByRole('button', { name: /^Pause/ }).waitFor()

  await card.getByRole('button', { name: /^Change or rotate/ }).click()
  await dialog.getByLabel('Access token').fill('pina_rotated_0123456789_abcd')
  stand.sandbox.faults.set([
    { kind: 'status', status: 401, body: { code: 2, message: 'Authentication failed.' } },
  ])
  await dialog.getByRole('button', { name: 'Change' }).click()
  await dialog.getByText(/Pinterest refuses it \(401\), so the account keeps the one/).waitFor()
  t.match((await stand.admin('GET', '/accounts/42')).body, { token: { last4: '6789' } })
  await dialog.getByLabel('Set the refused token all the same').check()
  await dialog.getByLabel('Dates of birth').selectOption('DMY')
  await dialog.getByLabel('Events of bots').selectOption('filter')
  await dialog.getByRole('button', { name: 'Change' }).click()
  await card.getByText('given, ends in …abcd').waitFor()
  t.match((await stand.admin('GET', '/accounts/42')).body, {
    country: 'FR',
    dob_format: 'DMY',
    bots: 'filter',
  })
  stand.sandbox.faults.clear()

  await page.getByRole('link', { name: 'Keys' }).click()
  await page.getByRole('button', { name: 'Make a key' }).click()
  await dialog.getByLabel('Label').fill('second shop')
  await dialog.getByRole('button', { name: 'Make' }).click()
  await dialog.getByText('Choose the ad accounts that it may post to.').waitFor()
  await dialog.getByLabel('Find').fill('second')
  await dialog.getByLabel('42 A second').check()
  await dialog.getByLabel('Find').fill(stand.account)
  await dialog.getByLabel(stand.account).check()
  await dialog.getByText('2 chosen.').waitFor()
  await dialog.getByRole('button', { name: 'Make' }).click()
  const key = (await page.locator('code.secret').textContent()) ?? ''
  await dialog.getByRole('button', { name: 'Close' }).click()
  await dialog.waitFor({ state: 'detached' })
  t.equal((await stand.post({ data: [] }, { account: '42', key })).status, 400, 'the key may post')
  t.notMatch(await page.content(), key, 'it is shown once')
  await page.getByText(`${key.slice(0, 8)}…`).waitFor()
  await page.getByRole('link', { name: 'Audit' }).click()
  await page.getByText('POST /keys').first().waitFor()
  await page
    .getByText(/ad account id 42, status 201/)
    .first()
    .waitFor()
  await stand.admin('POST', '/events/erase', { order_id: 'o-erased' })
  await page.getByLabel('Erased, replayed or purged by event id').fill('o-erased')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByText('2 entries.').waitFor()
  await page.getByText('POST /keys').first().waitFor({ state: 'detached' })
  await page.route('**/audit?*', (route) => route.fulfill({ json: { entries: [], next_cursor: '7' } }))
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByText('No entry.').waitFor()
  await page.getByLabel('Erased, replayed or purged by event id').fill('unsent')
  const isAsked = page.waitForRequest(/audit\?.*cursor=7/)
  await page.getByRole('button', { name: 'Show more' }).click()
  t.match((await isAsked).url(), /id=o-erased/, 'a page more is of the list that is shown')
  await page.getByRole('link', { name: 'Keys' }).click()
  const keyRow = page.getByRole('row', { name: /second shop/ })
  await keyRow
    .getByText(/^\d\d \w{3} \d{4}, \d\d:\d\d:\d\d \S+$/)
    .nth(1)
    .waitFor()
  await page.getByRole('button', { name: 'Remove: second shop' }).click()
  await dialog.getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('button', { name: 'Remove: second shop' }).waitFor({ state: 'detached' })
  t.equal((await stand.post({ data: [] }, { account: '42', key })).status, 401)

  await page.getByRole('link', { name: 'Accounts' }).click()
  await card.getByRole('button', { name: /^Remove/ }).click()
  await page.goBack()
  await page.getByRole('heading', { name: 'Keys' }).waitFor()
  t.equal(await dialog.count(), 0, 'a question ends with its page')
  await page.goForward()
  await card.getByRole('button', { name: /^Remove/ }).click()
  await dialog.getByRole('button', { name: 'Remove' }).click()
  await card.waitFor({ state: 'detached' })
  t.equal((await stand.admin('GET', '/accounts/42')).status, 404)

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Pinrelay' }).waitFor()
  await page.reload()
  await page.getByLabel('Admin token').waitFor()
  t.same(problems, [])
  t.same([...origins], [new URL(stand.relay.adminUrl).origin], 'nothing was asked of anybody else')
})

t.test('a queue that is stopped is seen, with what repairs it, and continues at once', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await makeHistory(stand)
  await logIn(page, stand)
  await page.getByText('Posts are taken, and every queue continues by itself.').waitFor()
  stand.sandbox.tokens.set([{ accessToken: 'pina_the_new_one_0123456789' }])
  await postHeld(stand, 'unauthorized')
  const banner = page.getByRole('status').filter({ hasText: 'Posts are taken.' })
  await banner.getByText('1 account needs a person:').waitFor()
  await banner
    .getByText(/test shop: Pinterest does not know the token\. From .* its oldest event counts as offline\./)
    .waitFor()
  const row = page.getByRole('row', { name: /test shop/ })
  await row.getByText('unauthorized').waitFor()
  await row.getByRole('button', { name: /Give a new token/ }).click()
  const dialog = page.getByRole('dialog')
  t.equal(await dialog.getByLabel('Country').count(), 0, 'only what gives a token is asked for')
  await dialog.getByRole('button', { name: 'Change' }).click()
  await dialog.getByText('Give an access token, or fill in OAuth.').waitFor()
  await dialog.getByLabel('Access token').fill('pina_the_new_one_0123456789')
  await dialog.getByRole('button', { name: 'Change' }).click()
  await row.getByText('sending').waitFor()
  t.match((await stand.admin('GET', `/accounts/${stand.account}`)).body, {
    country: 'US',
    label: 'test shop',
  })
  stand.sandbox.faults.set([{ kind: 'status', status: 500 }])
  await postHeld(stand, 'failing')
  // Somebody pauses the account after the page was drawn.
  await page.route(/\/accounts\/\d+$/, async (route) => {
    await stand.admin('POST', `/accounts/${stand.account}/pause`)
    return route.continue()
  })
  const asked = page.waitForResponse(/\/accounts\/\d+$/)
  await row.getByRole('button', { name: /^Try now/ }).click()
  t.match(await (await asked).json(), { paused: true })
  stand.sandbox.faults.clear()
  await stand.admin('POST', `/accounts/${stand.account}/resume`)
  await row.getByText('sending').waitFor()
  // A step of the recent statistics is five seconds.
  await page.getByRole('img', { name: /Throughput.*now posts \d/ }).waitFor()
  t.ok(await page.locator('.canvas canvas').count(), 'plots are drawn')
  t.match(await page.getByRole('term').allTextContents(), ['received', 'delivered'])
  await page.getByRole('button', { name: 'Log out' }).focus()
  t.same(problems, [])
})

t.test('the live view says what is true: pauses, limits, ages, and figures that are not new', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t, {
    colorScheme: 'light',
    viewport: { width: 390, height: 500 },
  })
  await logIn(page, stand)
  t.equal(await page.evaluate('scrollY'), 0, 'the menu is in sight')
  await page.getByText('Posts are taken, and every queue continues by itself.').waitFor()
  const { account } = stand
  const old = rawEvent({ event_time: Math.floor(Date.now() / 1000) - 5 * 86_400 })
  await stand.admin('POST', `/accounts/${account}/pause`)
  await stand.post({ data: [old] }, { query: '?test=true', headers: { prefer: 'wait=0' } })
  await stand.post({ data: [rawEvent()] }, { headers: { prefer: 'wait=0' } })
  await page
    .getByText(
      'Posts are taken, and every queue continues by itself, but for 1 account that a person paused.',
    )
    .waitFor()
  const age = page.locator('.tile', { hasText: 'Age of the oldest live event' })
  await age.getByText(/^\d+ (s|min)$/).waitFor()

  let limiter = { level: 3, capacity: 5000 }
  let isAway = false
  let blocked: object[] = []
  await page.route(/\/live\?/, async (route) => {
    if (isAway) return route.abort()
    const answer = (await (await route.fetch()).json()) as { queues: object[] }
    const queues = answer.queues.map((queue) => ({ ...queue, urgency: 0, post_limiter: limiter }))
    const more = { cell: 'cell-2', queues, blocked, accounts_blocked: blocked.length }
    return route.fulfill({ json: { ...answer, ...more } })
  })
  const row = page.getByRole('row', { name: /live/ })
  await row.getByText('post limit reached').waitFor()
  limiter = { level: 4000, capacity: 5000 }
  await row.getByText('Calls leave, but posts over the limit').waitFor({ state: 'detached' })
  blocked = [{ ad_account_id: account, label: 'a'.repeat(200), ...STATUSES.unauthorized }]
  await page.getByText('1 account needs a person:').waitFor()
  const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
  t.ok(overflow <= 0, `no label sticks out (${overflow})`)
  blocked = []
  isAway = true
  await page
    .getByText(/^The relay does not answer\. The figures below are of \d\d \w+ \d{4}, \d\d:\d\d:\d\d /)
    .waitFor()
  t.equal(await page.locator('[data-stale] .tiles').count(), 1)
  isAway = false
  await page.getByText('cell-2: Posts are taken, and every queue').waitFor()
  t.equal(await page.locator('[data-stale]').count(), 0)
  await stand.admin('POST', `/accounts/${account}/resume`)
  t.same(problems, [])
})

t.test(
  'the banner names an account that was removed while its events wait, also where it was the only one',
  async (t) => {
    const stand = await setUp(t)
    const { page, problems } = await openPage(t)
    await stand.admin('POST', `/accounts/${stand.account}/pause`)
    await stand.post({ data: [rawEvent()] }, { headers: { prefer: 'wait=0' } })
    await stand.admin('DELETE', `/accounts/${stand.account}`)
    await logIn(page, stand)
    await page.getByText(/1 account needs a person:/).waitFor()
    await page.getByText(/: Events wait for an account that is not registered: /).waitFor()
    await page.getByRole('button', { name: `Give a new token: ${stand.account}` }).click()
    await page.getByLabel('Access token').fill('pina_another_0123456789')
    await page.getByRole('button', { name: 'Change', exact: true }).click()
    await page.getByText('Posts are taken, and every queue').waitFor()
    t.same(problems, [])
  },
)

t.test('plots have a range, show the moment under the pointer, and one account', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  const nowSeconds = Date.now() / 1000
  await page.route(/\/live\?/, (route) => {
    const live = makeUpLive(nowSeconds)
    const isLong = route.request().url().includes('range=7d')
    const samples = live.samples.map((sample, place) => ({
      ...sample,
      at: nowSeconds - (live.samples.length - 1 - place) * (isLong ? 1800 : 5),
    }))
    return route.fulfill({ json: { ...live, samples, step_seconds: isLong ? 1800 : 5 } })
  })
  await page.route(/\/volume\?/, (route) => {
    const hours = Array.from({ length: 168 }, (_, hour) => hour)
    return route.fulfill({
      json: {
        volume: [
          { event_name: 'checkout', hours },
          { event_name: 'signup', hours: [4, 5] },
        ],
      },
    })
  })
  await logIn(page, stand)
  const throughput = page.locator('figure', { hasText: 'Throughput' })
  const posts = throughput.locator('.legend b').first()
  await page.getByRole('img', { name: /Throughput.*now posts \d/ }).waitFor()
  const latest = await posts.textContent()
  await throughput.locator('.u-over').hover({ position: { x: 20, y: 50 } })
  await throughput.getByText(/\d{4}, \d\d:\d\d:\d\d /).waitFor()
  await page
    .locator('figure', { hasText: 'Latency' })
    .getByText(/\d{4}, \d\d:\d\d:\d\d /)
    .waitFor()
  t.not(await posts.textContent(), latest)
  await page.mouse.move(0, 0)
  await throughput.getByText(/\d{4}, \d\d:\d\d:\d\d /).waitFor({ state: 'detached' })

  const longRange = page.waitForResponse(/range=7d/)
  await page.getByLabel('Plots over').selectOption('7d')
  await longRange
  await page.getByLabel('Ad account').fill(stand.account)
  await page.getByLabel('Ad account').press('Tab')
  await page.getByRole('img', { name: 'Events per hour; now checkout 167, signup 5' }).waitFor()
  t.notOk(await throughput.isVisible())
  await page.locator(`datalist option[value="${stand.account}"]`).waitFor({ state: 'attached' })
  t.same(problems, [])
})

t.test(
  'the reference of the API is read with a login, its public part without one where that is set',
  async (t) => {
    const stand = await enter(t)
    const { page, problems, origins } = await openPage(t, {
      colorScheme: 'dark',
      viewport: { width: 390, height: 800 },
    })
    await forgetPast(page)
    await page.goto(`${stand.relay.adminUrl}/docs`)
    await page.getByText('first: the descriptions need the admin token').waitFor()
    const known = await stand.admin('GET', '/openapi/public.json')
    await page.route('**/openapi/public.json', (route) => route.fulfill({ json: known.body }))
    await page.reload()
    const post = page.locator('details', { hasText: 'POST /v5/ad_accounts/{ad_account_id}/events' })
    await post.locator('summary').click()
    await post.getByText('"event_id": "order-4711"').first().waitFor()
    await post
      .getByText('object with em or hashed_maids or client_ip_address and client_user_agent')
      .waitFor()
    await post
      .locator('code', { hasText: /^respond-async$/ })
      .first()
      .waitFor()
    await page.getByText('for the description of the admin port.').waitFor()
    await page.unroute('**/openapi/public.json')

    await logIn(page, stand)
    await page.getByRole('link', { name: 'API' }).click()
    await page.getByLabel('Find').fill('dry_run')
    const replay = page.locator('details', { hasText: 'POST /dead-letters/replay' })
    await replay.locator('summary').click()
    await replay.getByText('"dry_run": true').waitFor()
    t.equal(await page.locator('details:visible').count(), 1)
    t.same(await violationsOf(page), [])
    const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
    t.ok(overflow <= 0, `nothing sticks out (${overflow})`)
    t.same(problems, [])
    t.same([...origins], [new URL(stand.relay.adminUrl).origin])
  },
)

t.test('who is led to consent without a session logs in first, and is led to Pinterest', async (t) => {
  const stand = await enter(t)
  const { page } = await openPage(t)
  const oauth = { client_id: '1234', client_secret: 'secret-of-the-app' }
  await stand.admin('PUT', '/accounts/7', { oauth })
  await forgetPast(page)
  await page.goto(`${stand.relay.adminUrl}/accounts/7/authorize`)
  await page.getByLabel('Admin token').fill(ADMIN_TOKEN)
  await page.keyboard.press('Enter')
  await page.waitForURL((url) => url.searchParams.get('client_id') === '1234')
  await page.goBack()
  t.notMatch(page.url(), /next=/, 'back does not lead to the login')
  for (const next of ['https://evil.example/', '//evil.example', '/metrics']) {
    await forgetPast(page)
    await page.goto(`${stand.relay.adminUrl}/?next=${next}`)
    await page.getByLabel('Admin token').fill(ADMIN_TOKEN)
    await page.keyboard.press('Enter')
    await page.getByRole('navigation').waitFor()
  }
})

t.test('a new relay leads through its first steps', async (t) => {
  const stand = await enter(t)
  const { page } = await openPage(t)
  await page.route(/\/totals$/, (route) => route.fulfill({ json: { received: 0 } }))
  await page.route(/\/live\?/, async (route) => {
    const answer = (await (await route.fetch()).json()) as object
    return route.fulfill({ json: { ...answer, accounts: 0 } })
  })
  await logIn(page, stand)
  await page.getByRole('link', { name: 'First steps' }).click()
  const steps = page.getByRole('region', { name: 'First steps' })
  await steps.getByText('to do').waitFor()
  t.equal(await steps.getByText('done').count(), 2)
  await steps.getByText(`/v5/ad_accounts/${stand.account}/events?test=true`).waitFor()
  t.same(await violationsOf(page), [])
  // A shop with webhooks needs no key.
  await page.route(/:\d+\/keys$/, (route) => route.fulfill({ json: { keys: [] } }))
  const listSources = (sources: object[]) =>
    page.route(/:\d+\/sources$/, (route) => route.fulfill({ json: { sources } }))
  for (const [sources, done] of [
    [[], 1],
    [[{ id: 'shop' }], 2],
  ] as const) {
    await listSources([...sources])
    await page.reload()
    await steps.getByText('to do').first().waitFor()
    t.equal(await steps.getByText('done').count(), done)
  }
  await page.unrouteAll()
  await stand.post({ data: [rawEvent()] })
  await page.getByRole('link', { name: 'Keys' }).click()
  await page.getByRole('link', { name: 'Accounts' }).click()
  await page.getByText('1 of 1').waitFor()
  await steps.waitFor({ state: 'hidden' })
})

t.test('while the relay is away a view says so and nothing else; its menu entry asks again', async (t) => {
  const stand = await enter(t)
  const { page } = await openPage(t)
  await logIn(page, stand)
  await page.route(/:\d+\/(keys|accounts)$/, (route) => route.abort())
  await page.getByRole('link', { name: 'Explain' }).click()
  await page.getByRole('link', { name: 'Keys' }).click()
  await page.getByText('The relay does not answer.').waitFor()
  t.equal(await page.getByRole('button', { name: 'Show 100 more' }).count(), 0)
  const asked = page.waitForEvent('requestfailed')
  await page.getByRole('link', { name: 'Explain' }).click()
  await asked
  t.equal(await page.getByText('Register an account first').count(), 0)
  await page.getByRole('link', { name: 'Keys' }).click()
  await page.getByText('The relay does not answer.').waitFor()
  await page.unrouteAll()
  await page.getByRole('link', { name: 'Keys' }).click()
  await page.getByText('prl_').first().waitFor()
})

t.test('dead letters of one cause are chosen together', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await makeHistory(stand, 3)
  stand.sandbox.faults.set([{ kind: 'failEvents', message: 'another cause' }])
  await stand.post({ data: [rawEvent(), rawEvent()] })
  stand.sandbox.faults.clear()
  await logIn(page, stand)
  await page.getByRole('link', { name: 'Dead letters' }).click()
  const group = page.getByRole('table', { name: 'Groups' }).getByRole('row', { name: /another cause/ })
  t.match(await group.textContent(), /^2rejected_event/)
  await group.getByRole('button', { name: /^Choose/ }).click()
  // The list is loaded anew before its boxes are chosen.
  await page.getByRole('checkbox', { checked: true }).nth(1).waitFor()
  t.equal(await page.getByRole('checkbox', { checked: true }).count(), 2)
  await page.getByRole('button', { name: 'Purge the 2 chosen' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Purge' }).click()
  await page.getByText('2 purged.').first().waitFor()
  await group.waitFor({ state: 'detached' })
  t.match((await stand.admin('GET', '/dead-letters')).body, { dead_letters: { length: 3 } })
  t.same(problems, [])
})

t.test('dead letters are filtered, looked into, replayed with progress and purged', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await makeHistory(stand, 7)
  await logIn(page, stand)
  await page.getByRole('link', { name: 'Dead letters' }).click()
  await page.getByText('7 dead letters.').waitFor()
  await page.getByLabel('Event name').fill('checkout')
  await page.getByRole('button', { name: 'Filter' }).click()
  await page.getByText('No dead letter.').waitFor()
  t.equal(await page.getByRole('button', { name: /^(Replay|Purge) all/, disabled: true }).count(), 2)
  await page.getByLabel('Event name').fill('signup')
  await page.getByRole('button', { name: 'Filter' }).click()
  const deadLetter = page.getByRole('article', { name: 'signup dead-3' })
  await deadLetter.getByText('this one is not accepted').waitFor()
  await deadLetter.locator('summary').click()
  await deadLetter.getByRole('list', { name: 'History' }).waitFor()
  t.notMatch(await page.content(), 'person@example.com')

  await deadLetter.getByLabel('Choose signup dead-3').check()
  await page.getByRole('button', { name: 'Replay the 1 chosen' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('heading', { name: 'Replay 1 event?' }).waitFor()
  t.match((await stand.admin('GET', '/dead-letters')).body, { dead_letters: { length: 7 } }, 'a count only')
  await dialog.getByRole('button', { name: 'Replay' }).click()
  await page.getByText('1 queued again').first().waitFor()
  await page.getByText('6 dead letters.').waitFor()
  await page.getByLabel('Event name').fill('typed, but not asked for')
  await page.getByText('The filter was changed: press Filter first.').waitFor()
  t.equal(await page.getByRole('button', { name: /^(Replay|Purge) all/, disabled: true }).count(), 2)
  await page.getByLabel('Event name').fill('signup')
  await page.getByRole('button', { name: "Replay all 'signup' dead letters" }).click()
  await dialog.getByRole('heading', { name: 'Replay 6 events?' }).waitFor()
  await dialog.getByRole('button', { name: 'Replay' }).click()
  await page.getByText('6 queued again').first().waitFor()
  await page.getByText('No dead letter.').waitFor()
  await page.getByRole('button', { name: "Replay all 'signup' dead letters" }).waitFor()

  await makeHistory(stand, 2)
  await page.getByRole('button', { name: 'Filter' }).click()
  await page.getByText('No dead letter.').waitFor()
  t.same(problems, [])
})

t.test('an event is found by its order, shown with its way, and followed as others come', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await makeHistory(stand)
  const custom_data = { order_id: '4711' }
  await stand.post({ data: [rawEvent({ event_id: 'e-4711', custom_data })] })
  await logIn(page, stand)
  await page.getByRole('link', { name: 'Events' }).click()
  await page.getByLabel('Ad account').fill(stand.account)
  await page.getByLabel('Event id or order id').fill('4711')
  await page.keyboard.press('Enter')
  await page.getByText('1 event. The trail goes back 72 hours').waitFor()
  const event = page.getByRole('article', { name: 'checkout e-4711' })
  await event.getByText('delivered', { exact: true }).first().waitFor()
  await event.locator('summary').click()
  const way = await event.getByRole('list', { name: 'Way' }).getByRole('listitem').allTextContents()
  t.match(way, [/: received$/, /: committed: on disk$/, /: sent to Pinterest$/, /: delivered$/])
  t.match(await event.getByRole('link', { name: stand.account }).getAttribute('href'), '#/accounts')
  t.same(await violationsOf(page), [])

  await stand.admin('POST', `/accounts/${stand.account}/pause`)
  await stand.post({ data: [rawEvent({ event_id: 'waits' })] }, { headers: { prefer: 'respond-async' } })
  await page.getByLabel('Event id or order id').fill('waits')
  await page.getByRole('button', { name: 'Find' }).click()
  const waits = page.getByRole('article', { name: 'checkout waits' })
  await waits.locator('summary').click()
  await waits.getByText('paused: Paused by an operator. Posts are still taken.').waitFor()
  await stand.admin('POST', `/accounts/${stand.account}/resume`)

  const turning = { order_id: '\u202e4712' }
  await stand.post({ data: [rawEvent({ event_id: 'turns', custom_data: turning })] })
  await page.getByLabel('Event id or order id').fill('turns')
  await page.getByRole('button', { name: 'Find' }).click()
  const summary = page.getByRole('article', { name: 'checkout turns' }).locator('summary')
  const order = await summary.getByText('order ').boundingBox()
  const state = await summary.locator('.state').boundingBox()
  t.ok(order!.x + order!.width <= state!.x + 1, 'no id turns the text around it')

  await page.getByLabel('Event id or order id').fill('dead-1')
  await page.getByRole('button', { name: 'Find' }).click()
  const dead = page.getByRole('article', { name: 'signup dead-1' })
  await dead.locator('summary').click()
  await dead.getByRole('link', { name: 'Its dead letter' }).click()
  await page.getByText('1 dead letters.').waitFor()
  await page.goBack()

  await page.getByLabel('Event id or order id').fill('')
  await page.getByLabel('Ad account').fill(stand.account)
  await page.getByLabel('Outcome').selectOption('invalid')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByText('1 event.').waitFor()
  await page.getByLabel('Show events as they come and change').check()
  const live = page.getByRole('article', { name: 'lead followed' })
  while ((await live.count()) === 0) {
    await stand.post({ data: [rawEvent({ event_id: 'followed', event_name: 'lead', event_time: 1 })] })
    await page.waitForTimeout(50)
  }
  await live.first().getByText('invalid', { exact: true }).first().waitFor()
  t.equal(await page.getByRole('article', { name: 'checkout e-4711' }).count(), 0, 'only what was asked for')
  t.notMatch(await page.content(), 'person@example.com')
  t.same(problems, [])
})

t.test('purging asks first, and is stopped by its button or by leaving the page', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await makeHistory(stand, 51)
  await logIn(page, stand)
  await page.getByRole('link', { name: 'Dead letters' }).click()
  await page.getByText('The newest 50; there are more.').waitFor()
  await page.getByLabel('Reason').fill('unsent')
  const pages: string[] = []
  page.on('request', (request) => {
    if (request.url().includes('cursor=')) pages.push(request.url())
  })
  await page.getByRole('button', { name: 'Show more' }).evaluate((button) => {
    const more = button as unknown as { click(): void }
    more.click()
    more.click()
  })
  await page.getByText('51 dead letters.').waitFor()
  t.equal(await page.getByRole('article').count(), 51)
  t.equal(pages.length, 1, 'a page is asked for once, however fast the clicks')
  t.notMatch(pages[0], 'unsent', 'and with the filter of the list')
  await page.getByLabel('Reason').fill('')

  const dialog = page.getByRole('dialog')
  await page.getByRole('button', { name: 'Purge all dead letters' }).click()
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  t.match((await stand.admin('GET', '/dead-letters')).body, { dead_letters: { length: 51 } })
  await page.getByLabel('Status').selectOption('rejected')
  await page.getByRole('button', { name: 'Filter' }).click()
  await page.getByRole('button', { name: 'Purge all rejected dead letters' }).click()
  await dialog.getByRole('heading', { name: 'Purge 51 events?' }).waitFor()
  await dialog.getByText('This deletes all rejected dead letters for good.').waitFor()
  await dialog.getByRole('button', { name: 'Purge' }).click()
  await page.getByText('51 purged.').first().waitFor()
  t.match((await stand.admin('GET', '/dead-letters')).body, { dead_letters: { length: 0 } })

  await makeHistory(stand, 1)
  await page.getByRole('button', { name: 'Filter' }).click()
  const answers = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  let asked = 0
  await page.route('**/dead-letters/purge', async (route) => {
    await answers[asked++]?.promise
    await route.fulfill({ json: { purged: 200, next_cursor: 'more' } })
  })
  async function beginPurge(): Promise<void> {
    answers[asked]?.resolve()
    await page.getByRole('button', { name: 'Purge all rejected' }).click()
    await dialog.getByRole('button', { name: 'Purge' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.getByText('200 purged.').waitFor()
  }
  await beginPurge()
  await page.getByRole('button', { name: 'Stop' }).click()
  answers[1]?.resolve()
  await page.getByText('Stopped. 400 purged.').first().waitFor()
  await beginPurge()
  await page.getByRole('link', { name: 'Keys' }).click()
  answers[3]?.resolve()
  await page.getByText('Stopped, since the page was left. 400 purged.').waitFor()
  t.equal(asked, 4, 'no step was begun after that')
  t.same(problems, [])
})

t.test(
  'a session that ends under a dialog asks for the token in it, and what was typed there is kept',
  async (t) => {
    const stand = await enter(t)
    const { page } = await openPage(t)
    const note = page.getByText('Your session ended; the last request changed nothing.')
    const dialog = page.getByRole('dialog')
    const labelOf = async () =>
      ((await stand.admin('GET', `/accounts/${stand.account}`)).body as { label: string }).label
    await logIn(page, stand)
    await page.getByRole('link', { name: 'Accounts' }).click()
    await page.getByRole('button', { name: /^Change or rotate/ }).click()
    await dialog.getByLabel('Label').fill('typed once')
    await page.context().clearCookies()
    await dialog.getByRole('button', { name: 'Change' }).click()
    await dialog.getByText('Your session ended; nothing was changed.').waitFor()
    t.not(await labelOf(), 'typed once')
    await page.keyboard.type('not the token')
    await page.keyboard.press('Enter')
    await dialog.getByText('That is not the admin token.').waitFor()
    await dialog.getByLabel('Admin token').fill(ADMIN_TOKEN)
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    t.equal(await labelOf(), 'typed once')

    await page.getByRole('button', { name: /^Change or rotate/ }).click()
    await dialog.getByLabel('Label').fill('typed beside another tab')
    await page.evaluate(`localStorage.clear(); dispatchEvent(new StorageEvent('storage'))`)
    await dialog.getByLabel('Admin token').fill(ADMIN_TOKEN)
    const late = Promise.withResolvers<void>()
    await page.route('**/totals', async (route) => {
      await late.promise
      await route.fulfill({ status: 401, json: {} })
    })
    const isAsked = page.waitForRequest('**/totals')
    const answered = page.evaluate(
      `import('/console/session.js').then(({ ask }) => ask('GET', '/totals').catch(() => {}))`,
    )
    await isAsked
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    late.resolve()
    await answered
    t.equal(await labelOf(), 'typed beside another tab')
    t.equal(await page.evaluate('localStorage.length'), 1, 'a late answer ends no later session')

    await page.getByRole('button', { name: /^Change or rotate/ }).click()
    await dialog.getByLabel('Label').fill('typed in vain')
    await page.context().clearCookies()
    await dialog.getByRole('button', { name: 'Change' }).click()
    await dialog.getByLabel('Admin token').waitFor()
    await page.keyboard.press('Escape')
    await note.waitFor()
    t.equal(await labelOf(), 'typed beside another tab')
    await logIn(page, stand)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Admin token').waitFor()
    t.equal(await note.count(), 0, 'who logs out knows')
  },
)

t.test('explain shows how values are normalized; match quality what to improve', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await makeHistory(stand)
  await logIn(page, stand)
  await page.getByRole('link', { name: 'Explain' }).click()
  await page.getByLabel('Events as a storefront posts them').fill('not json')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('That is not JSON').waitFor()
  const event = { ...EVENT, user_data: { em: ' Person@Example.COM ', ph: 'none at all' } }
  await page
    .getByLabel('Events as a storefront posts them')
    .fill(JSON.stringify([event, { event_name: 'x', event_id: 'order-9' }]))
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('would be sent').waitFor()
  await page.getByRole('heading', { name: 'Event 1: x order-9 invalid, not sent' }).waitFor()
  const row = page.getByRole('row', { name: /user_data\.em/ })
  // sha256 of person@example.com
  await row.getByText('542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345').waitFor()
  await page.getByText('What Pinterest would get').click()
  await page.getByText('"event_name": "checkout"').waitFor()
  t.match((await stand.admin('GET', '/totals')).body, { queued: 0 }, 'nothing was sent')

  await page.getByRole('link', { name: 'Match quality' }).click()
  await page.getByText('None has the e-mail address').waitFor()
  const visits = page.getByRole('table', { name: 'Match quality' }).getByRole('row', { name: /page_visit/ })
  t.match(await visits.textContent(), /25/)
  await page
    .getByRole('table', { name: 'Volume' })
    .getByRole('row', { name: /page_visit/ })
    .getByText('learning')
    .waitFor()
  t.same(problems, [])
})

/** The last of a thousand needs a person. */
const makeUpAccount = (id: string) => ({
  ad_account_id: id,
  label: `shop ${id}`,
  token: { kind: 'given', last4: 'abcd', age_seconds: 1, expires_in_seconds: null },
  problems: id === '10999' ? [{ status: 'reauthorize', ...STATUSES.reauthorize }] : [],
  queues: [],
})

t.test('a thousand accounts are shown in part, and looking again leaves rows and focus alone', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  const ids = Array.from({ length: 1000 }, (_, index) => String(10_000 + index))
  let events = 30
  const name = { event_name: 'checkout' }
  const shares = {
    em: 1,
    ph: 1,
    external_id: 0,
    click_id: 0,
    ip_and_user_agent: 0,
    late: 0,
    warned: 0,
    invalid: 0,
  }
  await page.route(/\/match-quality\?/, (route) => {
    const advice = [{ message: 'Send more.' }]
    const rows = ids.map((id) => ({ ...name, ad_account_id: id, events, shares, advice }))
    const columns = Object.keys(shares).map((share) => ({ name: share, label: share, is_bad: false }))
    return route.fulfill({ json: { columns, rows } })
  })
  await page.route(/\/volume$/, (route) => {
    const seen = { state: 'normal', observed: 1, expected: 1, window_minutes: 60, hours: [1] }
    return route.fulfill({ json: { volume: ids.map((id) => ({ ...name, ...seen, ad_account_id: id })) } })
  })
  await page.route(/\/accounts$/, (route) => route.fulfill({ json: { accounts: ids.map(makeUpAccount) } }))
  await page.route(/\/keys$/, (route) => {
    const at = '2026-01-02T03:04:05.000Z'
    const made = { prefix: 'prl_abcd', label: '', created_at: at, last_used_at: null, use_known_since: at }
    return route.fulfill({ json: { keys: ids.map((id) => ({ ...made, id, ad_account_ids: [id] })) } })
  })
  await page.route(/\/live\?/, async (route) => {
    const answer = await (await route.fetch()).json()
    const [first] = makeUpLive(Date.now() / 1000).blocked
    const blocked = Array.from({ length: 5 }, () => first)
    await route.fulfill({ json: { ...answer, accounts_blocked: 250, blocked } })
  })
  await logIn(page, stand)
  await page.getByText('250 accounts need a person; the first 5:').waitFor()

  await page.getByRole('link', { name: 'Match quality' }).click()
  await page.getByText('The 20 with the most events of 1,000').waitFor()
  const quality = page.getByRole('table', { name: 'Match quality' }).getByRole('row')
  t.equal(await quality.count(), 21)
  t.equal(await page.getByRole('table', { name: 'Volume' }).getByRole('row').count(), 21)
  await quality.getByText('shop 10003').waitFor()
  await page.getByRole('button', { name: 'Show 100 more' }).first().click()
  await page.getByText('The 120 with the most events of 1,000').waitFor()
  t.equal(await quality.count(), 121)
  await page.getByText('994 more, the first 94 of them here').focus()
  await page.evaluate(`document.querySelector('tbody tr').id = 'kept'`)
  events = 31
  await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
  await page.locator('#kept').getByText('31', { exact: true }).waitFor()
  t.equal(await page.evaluate(`document.activeElement.localName`), 'summary')

  await page.getByRole('link', { name: 'Accounts' }).click()
  await page.getByText('The 20 most urgent of 1,000.').waitFor()
  t.match(await page.getByRole('article').first().textContent(), 'shop 10999', 'the one that needs a person')
  await page.getByRole('button', { name: 'Show 100 more' }).click()
  t.equal(await page.getByRole('article').count(), 120)
  await page.getByLabel('Number or label').fill('10500')
  await page.getByText('1 of 1,000', { exact: true }).waitFor()

  await page.getByRole('link', { name: 'Keys' }).click()
  await page.getByText('The 20 newest of 1,000.').waitFor()
  t.equal(await page.getByRole('table', { name: 'Relay keys' }).getByRole('row').count(), 21)

  await page.getByRole('link', { name: 'Explain' }).click()
  await page.locator('datalist option').first().waitFor({ state: 'attached' })
  t.equal(await page.locator('datalist option').count(), 200)
  await page.getByLabel('As events of').fill(stand.account)
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('would be sent').waitFor()

  const { labels, coloured } = await page.evaluate<{ labels: string[]; coloured: number }>(PLOT_ONE_SAMPLE)
  t.same(labels, ['0', '1'], 'what is counted has whole numbers on its axis')
  t.ok(coloured > 0, 'a sample between gaps is a point')
  t.same(problems, [])
})

t.test('a shop is connected, its secret rotated, and its webhooks are listed', async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t)
  await logIn(page, stand)
  await page.getByRole('link', { name: 'Sources' }).click()
  await page.getByText('No source yet.').waitFor()
  await page.getByRole('button', { name: 'Connect a shop' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name in the address').fill('my-shop')
  await dialog.getByLabel('Shop', { exact: true }).selectOption('shopify')
  await dialog.getByLabel('Ad account').fill('404')
  await dialog.getByLabel('Secret').fill(SHOP_SECRET)
  await dialog.getByRole('button', { name: 'Connect' }).click()
  await dialog.getByText('there is no such account').waitFor()
  await dialog.getByLabel('Ad account').fill(stand.account)
  await dialog.getByRole('button', { name: 'Connect' }).click()
  await dialog.getByText('https://YOUR-RELAY/sources/my-shop').waitFor()
  await dialog.getByText(/^In Shopify: Settings, Notifications, Webhooks/).waitFor()
  await page.keyboard.press('Escape')

  const card = page.getByRole('article', { name: 'my-shop' })
  await card.getByText('No webhook came').waitFor()
  await sendToSource(stand, 'my-shop', 'products/update', true)
  await page.getByRole('button', { name: 'Refresh' }).click()
  await card.getByRole('cell', { name: 'not_mapped' }).waitFor()
  await card.getByRole('link', { name: 'Events' }).click()
  await page.locator('.dead_letters :text("filtered"):visible').first().waitFor()
  t.equal(await page.getByLabel('Source').inputValue(), 'my-shop')
  await page.getByRole('link', { name: 'Sources' }).click()
  await card.waitFor()

  await card.getByRole('button', { name: /^Change or rotate/ }).click()
  await dialog.getByLabel('Secret').fill('another-secret-0123')
  await dialog.getByLabel('Label').fill('My <i>shop</i>')
  await dialog.getByRole('button', { name: 'Change' }).click()
  const renamed = page.getByRole('article', { name: 'My <i>shop</i>' })
  await renamed.getByRole('button', { name: /^Drop the old secret/ }).click()
  await renamed.getByText('is valid, too').waitFor({ state: 'detached' })
  t.match((await stand.admin('GET', '/sources/my-shop')).body, { kind: 'shopify', previous_secret: false })
  t.notMatch(await page.content(), /another-secret/)
  for (const id of ['wc-1', 'wc-2'])
    await stand.admin('PUT', `/sources/${id}`, {
      kind: 'woocommerce',
      ad_account_id: stand.account,
      secret: SHOP_SECRET,
    })
  await page.getByRole('button', { name: 'Refresh' }).click()
  await page.getByRole('article', { name: 'wc-2' }).getByText('as those of wc-1').waitFor()
  t.same(await violationsOf(page), [])
  const expression =
    '(\n  $known := $exists(body.id) and\n$exists(body.email);\n  body.{ "event_name": "checkout" }\n)'
  await stand.admin('PUT', '/sources/own-1', {
    kind: 'custom',
    ad_account_id: stand.account,
    secret: SHOP_SECRET,
    signature: { header: 'X-Signature' },
    expression,
  })
  await page.getByRole('button', { name: 'Refresh' }).click()
  await page.getByRole('button', { name: 'Change or rotate: own-1' }).click()
  await dialog.getByLabel('Label').fill('Own shop')
  await dialog.getByRole('button', { name: 'Change' }).click()
  await page.getByRole('article', { name: 'Own shop' }).waitFor()
  t.match((await stand.admin('GET', '/sources/own-1')).body, { expression }, 'as it was, line by line')
  for (const id of ['wc-1', 'wc-2', 'own-1']) await stand.admin('DELETE', `/sources/${id}`)
  await page.getByRole('button', { name: 'Refresh' }).click()
  await renamed.getByRole('button', { name: /^Remove/ }).click()
  await dialog.getByRole('button', { name: 'Remove' }).click()
  await page.getByText('No source yet.').waitFor()
  t.same(problems, [])
})

t.test('all of it works without a mouse', async (t) => {
  const stand = await enter(t)
  const { page } = await openPage(t)
  await makeHistory(stand, 2)
  const press = (key: string) => page.keyboard.press(key)
  /** Tab until what has the focus is called that. */
  async function tabTo(name: RegExp): Promise<void> {
    for (let steps = 0; steps < 80; steps++) {
      const focused = await page.evaluate<string>(NAME_OF_FOCUSED)
      if (name.test(focused)) return
      await press('Tab')
    }
    throw new Error(`The focus never came to ${name}`)
  }
  await forgetPast(page)
  await page.goto(stand.relay.adminUrl)
  await tabTo(/^Admin token/)
  await page.keyboard.type(ADMIN_TOKEN)
  await press('Enter')
  await page.getByRole('navigation').waitFor()

  await tabTo(/^Accounts$/)
  await press('Enter')
  await page.getByRole('heading', { name: 'Accounts' }).waitFor()
  await tabTo(/^Register an account$/)
  await press('Enter')
  await tabTo(/^Ad account$/)
  await page.keyboard.type('77')
  await tabTo(/^Access token$/)
  await page.keyboard.type(TOKEN)
  await press('Enter')
  await page.getByRole('article', { name: '77' }).waitFor()
  await tabTo(/^Verify: 77$/)
  await press('Enter')
  await page.getByRole('heading', { name: 'The token works' }).waitFor()
  await press('Escape')
  await tabTo(/^Pause: 77$/)
  await press('Space')
  await tabTo(/^Resume: 77$/)
  t.match((await stand.admin('GET', '/accounts/77')).body, { paused: true })
  await press('Space')
  await tabTo(/^Pause: 77$/)

  await page.goto(`${stand.relay.adminUrl}/#/dead-letters`)
  await page.getByText('2 dead letters.').waitFor()
  await tabTo(/^Choose signup dead-0/)
  await press('Space')
  await tabTo(/^signup dead-0/)
  await press('Enter')
  await page.getByRole('article', { name: 'signup dead-0' }).getByText('this one is not accepted').waitFor()
  for (let steps = 0; steps < 8; steps++) await press('Shift+Tab')
  await tabTo(/^Replay the 1 chosen/)
  await press('Enter')
  await page.getByRole('heading', { name: 'Replay 1 event?' }).waitFor()
  await tabTo(/^Replay$/)
  await press('Enter')
  await page.getByText('1 queued again').first().waitFor()
})

t.test('every view is accessible, light and wide, dark and narrow, with labels of any length', async (t) => {
  const stand = await enter(t)
  const label = `${'a'.repeat(100)} ${'long label '.repeat(9)}`
  await stand.admin('PUT', `/accounts/${stand.account}`, { label })
  await stand.admin('POST', '/keys', { label, ad_account_ids: [stand.account] })
  await makeHistory(stand)
  const { page, problems, origins } = await openPage(t)
  async function check(name: string): Promise<void> {
    for (const { colorScheme, width, rules } of [
      { colorScheme: 'light', width: 1280, rules: undefined },
      // Most of a check's time is of rules about the document, which is the same.
      { colorScheme: 'dark', width: 320, rules: RULES_OF_LOOKS },
    ] as const) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 800 })
      t.same(await violationsOf(page, rules), [], `${name} ${colorScheme}`)
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
      t.ok(overflow <= 0, `${name} ${colorScheme}: nothing sticks out (${overflow})`)
      t.same(await page.evaluate(BAD_TABLES), [], `${name} ${colorScheme}: its tables fit`)
      for (const button of await page.getByRole('button', { name: /^Remove/ }).all())
        t.ok((await button.boundingBox())!.height < 50, `${name} ${colorScheme}: its buttons have one line`)
    }
  }
  await forgetPast(page)
  await page.goto(stand.relay.adminUrl)
  await page.getByLabel('Admin token').waitFor()
  await check('login')
  await logIn(page, stand)
  await sendToSource(stand, 'shop-of-the-tour', 'orders/create', true)
  await sendToSource(stand, 'shop-of-the-tour', 'checkouts/create', true)
  await sendToSource(stand, 'shop-of-the-tour', 'a/topic', false)
  t.teardown(() => stand.admin('DELETE', '/sources/shop-of-the-tour'))
  for (const [path, ready] of [
    ['', 'every queue continues'],
    ['accounts', '1 of 1'],
    ['keys', 'Remove'],
    ['sources', 'wrong_signature'],
    [`events?ad_account_id=${stand.account}`, 'page_visit'],
    ['dead-letters', '3 dead letters.'],
    ['explain', 'Nothing is sent or stored.'],
    ['quality', 'None has'],
    ['audit', 'entries'],
  ] as const) {
    await page.goto(`${stand.relay.adminUrl}/#/${path}`)
    await page.getByText(ready).first().waitFor()
    await check(path)
  }
  await page.goto(`${stand.relay.adminUrl}/#/accounts`)
  await page.getByRole('button', { name: 'Register an account' }).click()
  await check('dialog')
  t.same(problems, [])
  t.same([...origins], [new URL(stand.relay.adminUrl).origin])
})

/** As a screen reader would say it. */
const NAME_OF_FOCUSED = `(() => {
  const element = document.activeElement
  const label = element.id ? document.querySelector('label[for="' + element.id + '"]') : null
  return label?.textContent || element.getAttribute('aria-label') || element.textContent || ''
})()`

/** Tables wider than what they are in; and where they are tables, not cards: names, states and times on several lines. */
const BAD_TABLES = `(() => {
  const rightOf = (element) => element.getBoundingClientRect().right
  const tables = [...document.querySelectorAll('table')]
  const words = tables.filter((table) => getComputedStyle(table).display === 'table').flatMap((table) =>
    [...table.querySelectorAll('.word, .state, time')].filter((word) => {
      const range = document.createRange()
      range.selectNodeContents(word)
      return new Set([...range.getClientRects()].map(({ top }) => top)).size > 1
    }))
  return [
    ...tables.filter((table) => rightOf(table) > rightOf(table.parentElement)).map((table) => table.caption.textContent),
    ...words.map((word) => word.textContent),
  ]
})()`

/** A plot of one sample between gaps: what its axis of values says, and how many dots of the canvas have the line's red. */
const PLOT_ONE_SAMPLE = `(async () => {
  const { createPlot } = await import('/console/plots.js')
  const { count } = await import('/console/format.js')
  const labels = []
  const context = CanvasRenderingContext2D.prototype
  const { fillText } = context
  context.fillText = function (text, ...rest) {
    if (!text.includes(':')) labels.push(text)
    fillText.call(this, text, ...rest)
  }
  const plot = createPlot({ title: 'One', lines: [{ name: 'one', color: '--bad' }], show: count, isWhole: true })
  document.body.append(plot.element)
  plot.set([1000, 1005, 1010], [[null, 1, null]])
  await new Promise(requestAnimationFrame)
  plot.element.remove()
  context.fillText = fillText
  const canvas = plot.element.querySelector('canvas')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let coloured = 0
  for (let at = 0; at < data.length; at += 4) if (data[at] > data[at + 1] + 60) coloured++
  return { labels, coloured }
})()`

const EVENT = {
  event_name: 'checkout',
  action_source: 'web',
  event_time: Math.floor(Date.now() / 1000),
  event_id: 'e',
  user_data: { em: 'person@example.com' },
}
