import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startProcess } from '../support/process.ts'

async function makeFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-start-'))
  t.teardown(() => rm(folder, { recursive: true }))
  return folder
}

t.test('a first start makes its secrets, for its user alone, and keeps them', async (t) => {
  const folder = await makeFolder(t)
  const settings = { DATABASE_URL: `sqlite:${folder}/deep/relay.db`, ADMIN_TOKEN: '' }
  const first = await startProcess(settings)
  const files = ['relay.db', 'relay.vault.db', 'relay.master-key', 'relay.admin-token']
  for (const name of files) t.equal((await stat(join(folder, 'deep', name))).mode & 0o777, 0o600, name)
  const adminToken = (await readFile(join(folder, 'deep', 'relay.admin-token'), 'utf8')).trim()
  const ask = (url: string) => fetch(`${url}/books`, { headers: { authorization: `Bearer ${adminToken}` } })
  t.equal((await ask(first.adminUrl)).status, 200)
  first.signal('SIGTERM')
  t.equal(await first.ended, 0)
  const second = await startProcess(settings)
  t.equal((await ask(second.adminUrl)).status, 200)
  second.signal('SIGKILL')
  await second.ended
})

t.test('a start that cannot be says why in one line, and exits with 1', async (t) => {
  const folder = await makeFolder(t)
  const store = `sqlite:${folder}/relay.db`
  const running = await startProcess({ DATABASE_URL: store })
  t.teardown(async () => {
    running.signal('SIGKILL')
    await running.ended
  })
  await writeFile(join(folder, 'other.db'), 'this is no database, it only has the name of one. '.repeat(100))
  const busy = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => busy.once('listening', resolve))
  t.teardown(() => busy.close())
  const { port } = busy.address() as { port: number }

  const rows: [string, Record<string, string>, RegExp][] = [
    ['a store in use', { DATABASE_URL: store }, /in use/],
    ['a file that is no database', { DATABASE_URL: `sqlite:${folder}/other.db` }, /other\.db/],
    ['a folder that cannot be', { DATABASE_URL: 'sqlite:/dev/null/relay.db' }, /\/dev\/null/],
    ['a bad setting', { DATABASE_URL: store, PORT: 'http' }, /PORT must be/],
    ['a port in use', { DATABASE_URL: `sqlite:${folder}/third.db`, PORT: String(port) }, /EADDRINUSE/],
  ]
  for (const [name, settings, pattern] of rows) {
    await t.rejects(startProcess(settings), { message: pattern }, name)
    const problem = await startProcess(settings).catch((error: Error) => error.message)
    t.match(problem, /^ended with 1: pinrelay cannot start: [^\n]*$/, `${name}: one line`)
  }
})
