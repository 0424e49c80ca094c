import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// Each of these plays the demo, which takes up to ten seconds.
t.setTimeout(120_000)

const MAIN = fileURLToPath(new URL('../../demo/main.ts', import.meta.url))

function start(t: { teardown(end: () => void): void }, args: readonly string[] = []) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    // A setting of this machine must not reach the demo's relay.
    env: { ...process.env, PORT: '1', DATABASE_URL: 'sqlite:/nowhere/relay.db' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Not SIGKILL: the demo must have the time to end its relay.
  t.teardown(() => child.kill('SIGTERM'))
  let text = ''
  const listeners = new Set<() => void>()
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString()
    for (const listen of listeners) listen()
  })
  return {
    child,
    exited: once(child, 'close'),
    text: () => text,
    says: (phrase: string) =>
      new Promise<void>((resolve) => {
        const listen = () => void (text.includes(phrase) && resolve())
        listeners.add(listen)
        listen()
      }),
  }
}

const foldersOfDemos = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('pinrelay-demo-'))

t.test('the demo holds all that it claims, and ends with 0', async (t) => {
  const { exited, text } = start(t)
  t.strictSame(await exited, [0, null])
  const shown = text()
  t.notOk(shown.includes('✗'), 'nothing failed')
  t.notOk(shown.includes('\u001b'), 'no colours in a pipe')
  for (const phrase of [
    /" Person@Example\.COM "\s+person@example\.com\s+542d2401…3345/,
    /^✓ zp\s+"〒100-8111"\s+1008111\s/m,
    'it arrived once, and holds exactly this and nothing else',
    /^✓ 1\s+no action_source\s+failed\s+action_source: is missing/m,
    /^✓ em\[2\]\s+MD5\s.*– wrong_hash$/m,
    'the call was marked as a test',
    /answered 429 with Pinterest's code 8 and Retry-After: \d/,
    'killed and started again: the same events are still queued',
    'each of them was recorded exactly once',
    /no raw identifier in any of the [\d,]+ calls/,
    /(\d+) = \d+ \+ 1 \+ 0 \+ 0 \+ \d+: the books balance/,
    /all \d+ claims hold/,
  ]) {
    t.match(shown, phrase, String(phrase))
  }
})

t.test(
  '--keep leaves everything running, with a request to paste; Ctrl-C ends it without a trace',
  async (t) => {
    const before = await foldersOfDemos()
    const { child, exited, says, text } = start(t, ['--keep'])
    await Promise.race([says('/books'), exited])
    const [, curl] = /(now=\$\(date[\s\S]*?\}'\n)/.exec(text()) ?? []
    t.ok(curl, 'a request to paste')
    const shell = spawn('sh', ['-c', curl ?? 'false'], { stdio: ['ignore', 'pipe', 'ignore'] })
    let answer = ''
    shell.stdout.on('data', (bytes: Buffer) => (answer += bytes.toString()))
    const [code] = (await once(shell, 'close')) as [number]
    // 127: this machine has no curl.
    if (code !== 127) t.match(JSON.parse(answer), { num_events_processed: 1 })
    child.kill('SIGINT')
    t.strictSame(await exited, [0, null])
    const left = (await foldersOfDemos()).filter((name) => !before.includes(name) && text().includes(name))
    t.strictSame(left, [])
  },
)

t.test('interrupted while its relay is away, it ends all the same and takes its store away', async (t) => {
  const before = await foldersOfDemos()
  const { child, exited, says } = start(t)
  await says('Pinterest recorded none of them')
  const own = (await foldersOfDemos()).filter((name) => !before.includes(name))
  child.kill('SIGINT')
  t.strictSame(await exited, [130, null])
  const left = await foldersOfDemos()
  // Others may belong to a demo that runs at the same time.
  t.ok(own.some((name) => !left.includes(name)))
})
