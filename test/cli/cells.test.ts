import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { findFreePort } from '../support/ports.ts'
import { until } from '../support/clock.ts'
import { ACCOUNT, setUp, TOKEN } from '../support/relay.ts'
import { createCommandLine } from './stage.ts'

t.test('cells are listed, one that is away too, and a command for one says which', async (t) => {
  const stand = await setUp(t, { CELL: 'cell-1' })
  const away = `http://127.0.0.1:${await findFreePort()}`
  const alone = createCommandLine(stand)
  const relay = (words: string) =>
    alone(words, { environment: { ADMIN_URL: `${stand.relay.adminUrl},${away}` } })

  const listed = await relay('cells')
  t.equal(listed.code, 3)
  t.match(listed.stdout, /^cell-1 .* 1 +-$/m)
  t.match(listed.stdout, /away$/m)
  t.match(JSON.parse((await alone('cells --json')).stdout), { cells: [{ cell: 'cell-1', accounts: 1 }] })
  const found = await relay(`cells ${ACCOUNT}`)
  t.match(found.stdout, /^cell-1 /m)
  t.match(found.stderr, 'may have the account')
  t.match(await alone('cells 77'), { code: 1, stdout: '', stderr: 'No cell has an account 77.' })
  t.match(await relay('cells 77'), { code: 1, stderr: 'No cell that answers has an account 77.' })

  t.equal((await alone('cells --map')).stdout, `${ACCOUNT} cell-1;`)
  t.match(
    await relay('cells --map'),
    { code: 1, stdout: '' },
    'the map would lack the accounts of the one that is away',
  )

  t.match(await relay('status'), { code: 2, stderr: /--cell NAME/ })
  t.match((await relay('status --cell cell-1')).stdout, /^cell cell-1: posts are taken/)
  t.match(await relay('status --cell cell-2'), { code: 1, stderr: /cell-2/ })
})

t.test('an account that is paused, or sends in the other cell, too, does not move', async (t) => {
  const [one, two] = [await setUp(t, { CELL: 'cell-1' }), await setUp(t, { CELL: 'cell-2' })]
  const relay = (words: string) =>
    createCommandLine(one)(words, {
      environment: { ADMIN_URL: `${one.relay.adminUrl},${two.relay.adminUrl}` },
    })
  t.match(await relay(`account move ${ACCOUNT} --to cell-2`), { code: 1, stderr: /cell-2 has the account/ })
  await two.admin('DELETE', `/accounts/${ACCOUNT}`)
  await one.admin('POST', `/accounts/${ACCOUNT}/pause`)
  t.match(await relay(`account move ${ACCOUNT} --to cell-2`), { code: 1, stderr: /paused in cell-1/ })
  await one.admin('POST', `/accounts/${ACCOUNT}/resume`)
  t.match(await relay(`account move ${ACCOUNT} --to cell-2`), { code: 1, stderr: /MASTER_KEY_PREVIOUS/ })
  t.match((await one.admin('GET', `/accounts/${ACCOUNT}`)).body, { paused: false })
  t.match(await relay(`account move ${ACCOUNT} --to cell-3`), { code: 1, stderr: /cell-3/ })
  t.match(await relay('account move 77 --to cell-2'), { code: 1, stderr: /no account 77/ })
})

t.test(
  'begun again, a move ends only where no other cell can have the account or an event of it',
  async (t) => {
    const [one, two] = [await setUp(t, { CELL: 'cell-1' }), await setUp(t, { CELL: 'cell-2' })]
    const path = `/accounts/${ACCOUNT}`
    await two.admin('POST', `${path}/pause`)
    const isPaused = async () => (await two.admin('GET', path)).body
    const move = (url: string) =>
      createCommandLine(two)(`account move ${ACCOUNT} --to cell-2`, {
        environment: { ADMIN_URL: `${two.relay.adminUrl},${url}` },
      })
    const away = `http://127.0.0.1:${await findFreePort()}`
    t.match(await move(away), { code: 1, stderr: /does not answer: it may have the account/ })
    t.match(await isPaused(), { paused: true })

    const source = { kind: 'shopify', ad_account_id: ACCOUNT, secret: 'shpss_0123456789abcdef' }
    t.equal((await one.admin('PUT', `/sources/${ACCOUNT}-shop`, source)).status, 201)
    await one.admin('POST', `${path}/pause`)
    await one.post({ data: [rawEvent()] }, { headers: { prefer: 'respond-async' } })
    await one.admin('DELETE', path)
    t.match(await move(one.relay.adminUrl), { code: 1, stderr: /cell-1 has 1 event\(s\) of the account/ })
    t.match(await isPaused(), { paused: true })

    // As it is told: registered again, so that it drains; and a run that ended after the old cell forgot the account.
    await one.admin('PUT', path, { access_token: TOKEN })
    await one.admin('POST', `${path}/resume`)
    const queued = async () => (await one.admin('GET', `/totals?ad_account_id=${ACCOUNT}`)).body['queued']
    await until(async () => (await queued()) === 0)
    await one.admin('DELETE', path)
    let waited = 0
    const ended = await createCommandLine(two)(`account move ${ACCOUNT} --to cell-2`, {
      environment: { ADMIN_URL: `${two.relay.adminUrl},${one.relay.adminUrl}` },
      wait: async (ms) => void (waited += ms),
    })
    t.match(ended, { code: 0, stdout: /is in cell-2/ })
    t.ok(waited > 60_000, 'the old cell may have called a moment ago')
    t.match(await isPaused(), { paused: false })
    t.match((await one.admin('GET', '/sources')).body, { sources: [] })
  },
)
