import t from 'tap'
import { setUp } from '../support/relay.ts'

t.test('what is asked of the admin port when the relay ends is done and answered', async (t) => {
  const { relay, sandbox, admin, account } = await setUp(t)
  sandbox.faults.set([{ kind: 'latency', delayMs: 300 }])
  const verified = admin('POST', `/accounts/${account}/verify`)
  await sandbox.until(() => sandbox.journal.calls({ adAccountId: account }).length > 0)
  await relay.close()
  t.match(await verified, { status: 200 })
})
