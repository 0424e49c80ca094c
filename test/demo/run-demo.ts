/** The demo as a process of its own, as `npm run demo` starts it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const MAIN = fileURLToPath(new URL('../../demo/main.ts', import.meta.url))

export interface RunningDemo {
  signal(name: NodeJS.Signals): void
  /** Exit code and signal. */
  readonly exited: Promise<unknown[]>
  text(): string
  /** Resolves when it has printed this, or ended without. */
  says(phrase: string): Promise<unknown>
}

export function startDemo(t: Test, args: readonly string[] = []): RunningDemo {
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
  const exited = once(child, 'close')
  return {
    signal: (name) => void child.kill(name),
    exited,
    text: () => text,
    says: (phrase) =>
      Promise.race([
        exited,
        new Promise<void>((resolve) => {
          const listen = () => void (text.includes(phrase) && resolve())
          listeners.add(listen)
          listen()
        }),
      ]),
  }
}

/** Of all demos that run, on this machine. */
export async function foldersOfDemos(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('pinrelay-demo-'))
}

/** A sample of what it must claim; it says itself whether all claims hold. */
export function checkClaims(t: Test, shown: string): void {
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
    /(\d+) = \d+ \+ 1 \+ 0 \+ 0 \+ 0 \+ \d+: the totals balance/,
    /all \d+ claims hold/,
  ]) {
    t.match(shown, phrase, String(phrase))
  }
}
