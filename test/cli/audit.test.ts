/** `audit`, against a whole relay. */
import t from 'tap'
import { setUp } from '../support/relay.ts'
import { createCommandLine } from './stage.ts'

t.test('what was changed is listed, newest first, or by the id of what was erased', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  await stand.admin('POST', `/accounts/${stand.account}/pause`)
  await relay('erase --order o-1 --yes')
  const { code, stdout } = await relay('audit')
  t.equal(code, 0)
  t.match(stdout, /^AT +ACTION +DETAILS\n/)
  t.match(
    stdout,
    new RegExp(
      `Z +erased +order_id hmac:.*\n.*Z +POST /accounts/:id/pause +ad_account_id ${stand.account}, status 200\n`,
      's',
    ),
  )
  t.match(await relay('audit --limit 1'), { code: 0, stderr: /there are more/ })
  const ofOrder = JSON.parse((await relay('audit --id o-1 --json')).stdout) as {
    entries: { action: string }[]
  }
  t.strictSame(
    ofOrder.entries.map(({ action }) => action),
    ['erased', 'erase'],
  )
  t.match(await relay('audit --id other'), { code: 0, stdout: 'no entry' })
})
