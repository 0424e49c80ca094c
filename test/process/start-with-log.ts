/** A relay as a process that writes its log to a file or pipe of the test's. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { atExit } from '../support/at-exit.ts'
import { ACCOUNT, RESERVED_BYTES } from '../support/constants.ts'
import { findFreePort } from '../support/ports.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const { O_RDWR, O_WRONLY, O_NONBLOCK } = constants
const HOST = '127.0.0.1'
/** It ends in a second; one that does not end is what this is about. */
const END_MS = 20_000

/** Writes to `writer` block when it is full, as those to a container's log do. */
export function openPipe(t: Test) {
  const path = `${t.testdir()}/pipe`
  t.equal(spawnSync('mkfifo', [path]).status, 0)
  const reader = openSync(path, O_RDWR | O_NONBLOCK)
  return { reader, writer: openSync(path, O_WRONLY) }
}

export async function startWithLog(t: Test, log: number) {
  const [port, adminPort] = [await findFreePort(), await findFreePort()]
  const relay = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', log, 'inherit'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      HOST,
      ADMIN_HOST: HOST,
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
  const hasEnded = () => relay.exitCode !== null || relay.signalCode !== null
  t.teardown(() => relay.kill('SIGKILL'))
  void exited.finally(atExit(() => relay.kill('SIGKILL')))
  while (!(await isAnswering(`http://${HOST}:${port}/livez`))) {
    if (hasEnded()) throw new Error('The relay did not start.')
    await delay(20)
  }
  return {
    /** Has no key, and a line in the log. */
    post: () => fetch(`http://${HOST}:${port}/v5/ad_accounts/${ACCOUNT}/events`, { method: 'POST' }),
    metrics: async () => (await fetch(`http://${HOST}:${adminPort}/metrics`)).text(),
    signal: (name: NodeJS.Signals) => relay.kill(name),
    hasEnded,
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
