import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ADMIN_TOKEN, setUp } from './support/relay.ts'

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function relay(words: readonly string[], environment: Record<string, string>): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    const child = execFile(process.execPath, [CLI, ...words], { env }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

t.test('reseal asks the relay and says what it did', async (t) => {
  const stand = await setUp(t)
  const environment = { ADMIN_URL: stand.relay.adminUrl, ADMIN_TOKEN }
  t.strictSame(await relay(['reseal'], environment), {
    code: 0,
    stdout: 'resealed 0 tokens and 0 payloads\n',
    stderr: '',
  })
  const refused = await relay(['reseal'], { ...environment, ADMIN_TOKEN: 'not the admin token' })
  t.match(refused, { code: 1, stdout: '', stderr: /^the relay answered 401/ })
  t.notMatch(refused.stderr, 'not the admin token')
})

t.test('a relay that cannot be reached is named', async (t) => {
  const environment = { ADMIN_URL: 'http://127.0.0.1:1', ADMIN_TOKEN }
  t.match(await relay(['reseal'], environment), {
    code: 1,
    stderr: 'nothing answers at http://127.0.0.1:1\n',
  })
})

t.test('a wrong command line gets the usage', async (t) => {
  t.match(await relay([], {}), { code: 2, stderr: /^usage: relay COMMAND/ })
  t.match(await relay(['salvage'], { ADMIN_TOKEN }), { code: 2, stderr: /salvage FILE/ })
  t.match(await relay(['reseal', 'everything'], { ADMIN_TOKEN }), { code: 2, stderr: /^usage/ })
  t.match(await relay(['reseal'], {}), { code: 2, stderr: /ADMIN_TOKEN/ })
  t.match(await relay(['--help'], {}), { code: 0, stdout: /^usage: relay COMMAND/ })
})
