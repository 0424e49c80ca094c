import t from 'tap'
import { startNode } from '../support/node-process.ts'

const start = (SANDBOX_PORT: string) =>
  startNode({ words: ['sandbox/main.ts'], environment: { SANDBOX_PORT } })

/** SIGTERM: in test/deploy/build.test.ts. */
t.test('says where it listens, and ends on SIGINT', async (t) => {
  const sandbox = start('0')
  t.teardown(() => sandbox.kill())
  const url = await sandbox.firstLine((line) => /PINTEREST_API_URL=(\S+\/v5)/.exec(line)?.[1])
  const response = await fetch(`${url}/ad_accounts/1/events`, { method: 'POST' })
  t.equal(response.status, 401)
  await response.text()
  sandbox.signal('SIGINT')
  t.equal(await sandbox.ended, 0)
})

t.test('says in one line why it cannot start', async (t) => {
  const sandbox = start('eighty')
  t.equal(await sandbox.ended, 1)
  t.strictSame(sandbox.stderr, ['sandbox: cannot start: SANDBOX_PORT must be a whole number from 0 to 65535'])
})
