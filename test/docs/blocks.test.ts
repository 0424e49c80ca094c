/**
 * The command blocks of the README and of docs/start.md, as they stand and in their order, in a folder that looks like a fresh clone.
 * Three things differ: `npm ci` is left out, the ports are free ones, and the person's home is a folder with a token in it.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { atExit, makeFolder } from '../support/at-exit.ts'
import { findFreePort } from '../support/ports.ts'
import { blocksOf, locate, read, type Block } from './pages.ts'

const PAGES = ['README.md', 'docs/start.md']
const MARK = '--- end of block ---'
const blocks = PAGES.flatMap((page) => blocksOf(read(page)))
/** Docker's are checked in claims.test.ts, since no engine runs here. */
const isDocker = ({ text }: Block) => /\bdocker\b/.test(text)

/** What the blocks print, block by block, as far as they came. */
async function runBlocks(t: Test, texts: readonly string[]) {
  const folder = makeFolder(t)
  for (const name of ['package.json', 'node_modules', 'src', 'sandbox']) {
    await symlink(fileURLToPath(locate(name)), join(folder, name))
  }
  await writeFile(join(folder, 'pinterest-token.txt'), 'pina_from_ads_manager\n')
  const ports = {
    PORT: await findFreePort(),
    ADMIN_PORT: await findFreePort(),
    SANDBOX_PORT: await findFreePort(),
  }
  const script = [
    'set -e',
    'npm() { [ "$1" = ci ] || command npm "$@"; }',
    ...texts.flatMap((text) => [text, `echo; echo '${MARK}'`]),
  ].join('\n')
  const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env
  const child = spawn('bash', ['-c', withPorts(script, ports)], {
    cwd: folder,
    // A group of its own, which ends with what the blocks start in the background.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH,
      NODE_COMPILE_CACHE,
      HOME: folder,
      DRAIN_MS: '0',
      RESERVED_BYTES: String(1024 ** 2),
      npm_config_update_notifier: 'false',
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    },
  })
  const closed = once(child, 'close')
  const end = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  const forget = atExit(end)
  t.teardown(async () => {
    end()
    await closed
    forget()
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    // Otherwise it tells nothing until the last block has ended, a minute or two on a busy machine.
    if (text.includes(MARK))
      t.comment(`${output.split(MARK).length - 1} of ${texts.length} blocks have ended`)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code] = (await once(child, 'exit')) as [number | null]
  end()
  await closed
  return { code, outputs: output.split(`\n${MARK}\n`).slice(0, -1), errors }
}

function withPorts(
  script: string,
  ports: { PORT: number; ADMIN_PORT: number; SANDBOX_PORT: number },
): string {
  return script
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${ports.PORT}`)
    .replaceAll('127.0.0.1:8081', `127.0.0.1:${ports.ADMIN_PORT}`)
    .replaceAll('127.0.0.1:8090', `127.0.0.1:${ports.SANDBOX_PORT}`)
}

t.test('every block is one that is run, an answer, or known to be tested elsewhere', async (t) => {
  // By test/demo, test/process and test/cli.
  const others = ['npm ci && npm run demo', 'npm ci && npm start', 'npm run relay -- init']
  for (const block of blocks) {
    if (['sh', 'json'].includes(block.language) || isDocker(block)) continue
    t.ok(others.includes(block.text.trim()), block.text)
  }
})

const hasCurl = spawnSync('curl', ['--version']).status === 0

t.test('the commands work as they are written', { skip: !hasCurl && 'there is no curl here' }, async (t) => {
  const shown = blocks.filter((block) => ['sh', 'json'].includes(block.language) && !isDocker(block))
  const commands = shown.filter(({ language }) => language === 'sh')
  t.match(commands[0]?.text, /^npm ci\n/, 'from a fresh clone')
  const { code, outputs, errors } = await runBlocks(
    t,
    commands.map(({ text }) => text),
  )
  t.equal(code, 0, errors)
  t.equal(outputs.length, commands.length)
  const answered = (pattern: RegExp) => outputs[commands.findIndex(({ text }) => pattern.test(text))] ?? ''
  for (const [index, { language, text }] of shown.entries()) {
    if (language !== 'json') continue
    const command = commands.indexOf(shown[index - 1]!)
    t.strictSame(JSON.parse(outputs[command] ?? ''), JSON.parse(text), 'the answer that the page shows')
  }
  t.match(answered(/account verify/), /works/)
  t.match(answered(/^relay event 4711/), /^order +4711$.*delivered$/ms)
  t.match(answered(/relay explain/), /colour.*unknown_field/s)
  t.match(answered(/relay status/), /RECEIVED.*\n +3 +3 /)
  t.match(answered(/relay status/), /order-4712/, "the sandbox's journal has the live event")
})
