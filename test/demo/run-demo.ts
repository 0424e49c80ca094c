/** The demo as a process of its own, as `npm run demo` starts it. */
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Test } from 'tap'
import { startNode, type NodeProcess } from '../support/node-process.ts'

export interface RunningDemo extends NodeProcess {
  text(): string
  /** Resolves when it has printed this, or ended without. */
  says(phrase: string): Promise<unknown>
}

export function startDemo(t: Test, args: readonly string[] = []): RunningDemo {
  // A setting of this machine must not reach the demo's relay.
  const environment = { PORT: '1', DATABASE_URL: 'sqlite:/nowhere/relay.db' }
  const demo = startNode({ words: ['demo/main.ts', ...args], environment })
  t.teardown(() => demo.end())
  const lines: string[] = []
  demo.onLine((line) => {
    lines.push(`${line}\n`)
    // Otherwise it tells nothing until the demo has ended, a minute or two on a busy machine.
    if (line.startsWith('━')) t.comment(line.replaceAll('━', '').trim())
  })
  return {
    ...demo,
    text: () => lines.join(''),
    says: (phrase) =>
      Promise.race([demo.ended, demo.firstLine((line) => line.includes(phrase) || undefined)]),
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
    /(\d+) = \d+ \+ 2 \+ 0 \+ 0 \+ 0 \+ \d+: the totals balance/,
    /all \d+ claims hold/,
  ]) {
    t.match(shown, phrase, String(phrase))
  }
}
