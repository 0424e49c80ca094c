/** The relay as a process of its own, which can be killed, and started again on the same store and ports. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { nowMs } from './now.ts'

/** A death lies between these two. */
export interface Kill {
  readonly fromMs: number
  readonly untilMs: number
}

export interface RelayProcess {
  readonly port: number
  readonly adminPort: number
  readonly startedAtMs: number
  readonly readyAtMs: number
  /** Lines of level error so far, the last of them. */
  readonly errors: readonly string[]
  /** kill -9, and the end that follows it. */
  kill(): Promise<Kill>
  /** SIGSTOP: it stands still, and its connections stay. */
  pause(): void
  /** SIGCONT. */
  goOn(): void
  /** SIGTERM; answers the exit code, null when it had to be killed. */
  end(): Promise<number | null>
  /** The most memory that it ever had, in MiB. */
  peakMebibytes(): number
  cpuSeconds(): number
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** What `npm start` runs, with the flags that it has. */
const START = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
const [, ...START_WORDS] = START.scripts.start.split(' ')
const ERRORS_KEPT = 50
/** It gives itself 9.5 s. */
const END_PATIENCE_MS = 15_000

/** Killed while it starts, at whatever point that is. */
export async function killWhileStarting(
  settings: Readonly<Record<string, string>>,
  afterMs: number,
): Promise<Kill> {
  const child = spawnRelay(settings)
  // Nobody reads them, and a full pipe would hold it up.
  child.stdout.resume()
  child.stderr.resume()
  const ended = once(child, 'exit')
  await delay(afterMs)
  return killAndWait(child, ended)
}

/** Rejects with what the relay says when it does not start. */
export async function startRelayProcess(settings: Readonly<Record<string, string>>): Promise<RelayProcess> {
  const startedAtMs = nowMs()
  const child = spawnRelay(settings)
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const errors: string[] = []
  const complaints: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => complaints.push(line))
  const ports = await new Promise<Map<string, number>>((resolve, reject) => {
    const found = new Map<string, number>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{"level":"error"')) errors.splice(0, errors.push(line) - ERRORS_KEPT)
      if (!line.includes(' port open"')) return
      const { phrase, port } = JSON.parse(line) as { phrase: string; port: number }
      found.set(phrase, port)
      if (found.size === 2) resolve(found)
    })
    void ended.then((code) => reject(new Error(`the relay ended with ${code}: ${complaints.join('\n')}`)))
  })
  return {
    port: ports.get('public port open')!,
    adminPort: ports.get('admin port open')!,
    startedAtMs,
    readyAtMs: nowMs(),
    errors,
    kill: () => killAndWait(child, ended),
    pause: () => void child.kill('SIGSTOP'),
    goOn: () => void child.kill('SIGCONT'),
    async end() {
      child.kill('SIGTERM')
      const patience = setTimeout(() => child.kill('SIGKILL'), END_PATIENCE_MS)
      const code = await ended
      clearTimeout(patience)
      return code
    },
    peakMebibytes: () => readPeakMebibytes(child.pid!),
    cpuSeconds: () => readCpuSeconds(child.pid!),
  }
}

function spawnRelay(settings: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, START_WORDS, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', PORT: '0', ADMIN_PORT: '0', ...settings },
  })
  // None outlives the harness, however that ends.
  const killWithUs = () => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.removeListener('exit', killWithUs))
  return child
}

async function killAndWait(child: ChildProcess, ended: Promise<unknown>): Promise<Kill> {
  const fromMs = nowMs()
  child.kill('SIGKILL')
  await ended
  return { fromMs, untilMs: nowMs() }
}

/** From /proc: Linux only. */
function readPeakMebibytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(line?.[1] ?? 0) / 1024)
}

/** utime and stime of all threads: clock ticks of 10 ms. */
function readCpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
