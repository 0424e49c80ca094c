import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import tap from 'tap'

const MAIN = fileURLToPath(new URL('../../sandbox/main.ts', import.meta.url))

function start(t: { teardown(end: () => void): void }, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [MAIN], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  await tap.test(`says where it listens, and ends on ${signal}`, async (t) => {
    const child = start(t, { SANDBOX_PORT: '0' })
    const [line] = (await once(child.stdout!, 'data')) as [Buffer]
    const url = /PINTEREST_API_URL=(\S+\/v5)/.exec(line.toString())?.[1]
    t.ok(url, line.toString())
    const response = await fetch(`${url}/ad_accounts/1/events`, { method: 'POST' })
    t.equal(response.status, 401)
    await response.text()
    child.kill(signal)
    t.strictSame(await once(child, 'exit'), [0, null])
  })
}

await tap.test('says in one line why it cannot start', async (t) => {
  const child = start(t, { SANDBOX_PORT: 'eighty' })
  const ended = once(child, 'exit')
  const [line] = (await once(child.stderr!, 'data')) as [Buffer]
  t.equal(line.toString(), 'sandbox: cannot start: SANDBOX_PORT must be a whole number from 0 to 65535\n')
  t.strictSame(await ended, [1, null])
})
