/** The relay as a process whose log nobody reads: it goes on taking posts, and ends when it is told to. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { findFreePort } from '../support/ports.ts'
import { ACCOUNT, RESERVED_BYTES } from '../support/constants.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const { O_RDWR, O_WRONLY, O_NONBLOCK } = constants
/** It ends in a second; one that does not end is what this is about. */
const END_MS = 20_000

void t.test('SIGTERM ends a relay whose log has a reader that stopped', async (t) => {
  const { reader, writer } = openPipe(t)
  fill(reader)
  const relay = await start(t, writer)
  await relay.post()
  relay.signal('SIGTERM')
  t.strictSame(await relay.ended(), [0, null])
})

void t.test('SIGTERM ends a relay whose log has lost its reader a moment ago', async (t) => {
  const { reader, writer } = openPipe(t)
  const relay = await start(t, writer)
  relay.signal('SIGTERM')
  let log = ''
  while (!log.includes('"shutting down"')) {
    await delay(5)
    log += readWhatIsThere(reader)
  }
  closeSync(reader)
  t.strictSame(await relay.ended(), [0, null])
})

void t.test('a full disk under the log costs lines, which are counted, and nothing else', async (t) => {
  const relay = await start(t, openSync('/dev/full', O_WRONLY))
  await relay.post()
  const dropped = async () => /^pinrelay_log_lines_dropped_total (\d+)$/m.exec(await relay.metrics())?.[1]
  while (Number(await dropped()) === 0) await delay(20)
  t.equal((await relay.post()).status, 401, 'it goes on')
  relay.signal('SIGTERM')
  t.strictSame(await relay.ended(), [0, null])
})

/** Writes to `writer` block when it is full, as those to a container's log do. */
function openPipe(t: Test) {
  const path = `${t.testdir()}/pipe`
  t.equal(spawnSync('mkfifo', [path]).status, 0)
  const reader = openSync(path, O_RDWR | O_NONBLOCK)
  return { reader, writer: openSync(path, O_WRONLY) }
}

function fill(pipe: number): void {
  const page = Buffer.alloc(4096)
  try {
    for (;;) writeSync(pipe, page)
  } catch {
    // It takes no more.
  }
}

function readWhatIsThere(pipe: number): string {
  const bytes = Buffer.alloc(65_536)
  try {
    return bytes.toString('latin1', 0, readSync(pipe, bytes))
  } catch {
    return ''
  }
}

async function start(t: Test, log: number) {
  const [port, adminPort] = [await findFreePort(), await findFreePort()]
  const relay = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', log, 'inherit'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      PORT: String(port),
      ADMIN_PORT: String(adminPort),
      METRICS_OPEN: 'true',
      RESERVED_BYTES,
      DATABASE_URL: `sqlite:${t.testdir()}/relay.db`,
      // Long enough to take the reader away meanwhile.
      DRAIN_MS: '300',
    },
  })
  closeSync(log)
  const exited = once(relay, 'exit')
  t.teardown(() => relay.kill('SIGKILL'))
  while (!(await isAnswering(`http://127.0.0.1:${port}/livez`))) await delay(20)
  return {
    /** Has no key, and a line in the log. */
    post: () => fetch(`http://127.0.0.1:${port}/v5/ad_accounts/${ACCOUNT}/events`, { method: 'POST' }),
    metrics: async () => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text(),
    signal: (name: NodeJS.Signals) => relay.kill(name),
    ended: () => Promise.race([exited, delay(END_MS, 'it still runs', { ref: false })]),
  }
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok
  } catch {
    return false
  }
}
