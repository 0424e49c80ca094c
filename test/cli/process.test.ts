import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ADMIN_TOKEN, enter } from '../support/relay.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

t.test(
  'the command reads a token from standard input, prints to the two outputs and ends with its code',
  async (t) => {
    const stand = await enter(t)
    const run = (words: readonly string[], input: string) =>
      new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
        const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env
        const env = { PATH, NODE_COMPILE_CACHE, ADMIN_URL: stand.relay.adminUrl, ADMIN_TOKEN }
        const child = execFile(process.execPath, [CLI, ...words], { env }, (_error, stdout, stderr) =>
          resolve({ code: child.exitCode, stdout, stderr }),
        )
        child.stdin!.end(input)
      })
    t.strictSame(await run(['account', 'set', '4711'], 'pina_a_token_from_a_pipe\n'), {
      code: 0,
      stdout: 'account 4711 is set, its token ends with pipe\nPinterest took a test event: the token works\n',
      stderr: '',
    })
    t.match(await run(['--version'], ''), { code: 0, stdout: /^pinrelay \d+\.\d+\.\d+\n$/ })
    t.match(await run(['explain', '/nowhere', '--account', '1'], ''), {
      code: 2,
      stdout: '',
      stderr: '/nowhere cannot be read.',
    })
  },
)
