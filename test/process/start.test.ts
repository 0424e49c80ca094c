import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startProcess } from '../support/process.ts'

/** What went wrong as the process told it, after its exit code. */
const startInVain = (settings: Record<string, string>) =>
  startProcess(settings).then(
    (relay) => {
      relay.signal('SIGKILL')
      return 'it started'
    },
    (error: Error) => error.message,
  )

/** Each cause of a failed start has its own test at the part that finds it: settings, secrets, stores. */
t.test('a first start makes its secrets; a start that cannot be says why in one line', async (t) => {
  const folder = join(t.testdir(), 'deep')
  const settings = { DATABASE_URL: `sqlite:${folder}/relay.db`, ADMIN_TOKEN: '' }
  const first = await startProcess(settings)
  t.teardown(() => first.signal('SIGKILL'))
  const files = ['relay.db', 'relay.vault.db', 'relay.master-key', 'relay.admin-token']
  for (const name of files)
    t.equal((await stat(join(folder, name))).mode & 0o777, 0o600, `${name} is private`)
  const readSecrets = () => Promise.all(files.slice(2).map((name) => readFile(join(folder, name), 'utf8')))
  const secrets = await readSecrets()
  const headers = { authorization: `Bearer ${secrets[1]!.trim()}` }
  t.equal((await fetch(`${first.adminUrl}/books`, { headers })).status, 200, 'the token is in force')

  t.match(
    await startInVain(settings),
    /^ended with 1: pinrelay cannot start: [^\n]* in use by another process[^\n]*$/,
    'an error of its own',
  )
  first.signal('SIGKILL')
  await first.ended

  const busy = createServer().listen(0, '127.0.0.1')
  await once(busy, 'listening')
  t.teardown(() => busy.close())
  const { port } = busy.address() as AddressInfo
  // The last thing that a start does: the vault was opened with the key that the first start made.
  t.match(
    await startInVain({ ...settings, PORT: String(port) }),
    new RegExp(`^ended with 1: pinrelay cannot start: EADDRINUSE at 127\\.0\\.0\\.1:${port}$`),
    "an error of the system's",
  )
  t.strictSame(await readSecrets(), secrets, 'they are kept')
})
