/**
 * A Node script as a process of its own, for tests, demo, bench and chaos. It gets no setting of this process's environment, and
 * does not outlive this process. What it costs is read from /proc: on Linux only.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { atExit } from './at-exit.ts'

export interface NodeProcessOptions {
  /** Options of Node, the script from the project's root, its arguments. */
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** With `send` and `message`. */
  readonly hasChannel?: boolean
}

export interface NodeProcess {
  readonly pid: number
  /** The lines of standard error so far. */
  readonly stderr: readonly string[]
  /** The exit code; null for a process that was killed. */
  readonly ended: Promise<number | null>
  /** The first value that `find` makes of a line of standard output. Rejects with standard error when the process ends before. */
  firstLine<Found>(find: (line: string) => Found | undefined): Promise<Found>
  onLine(listen: (line: string) => void): void
  /** Standard output is read by nobody any more, and costs nothing. */
  ignoreOutput(): void
  signal(name: NodeJS.Signals): void
  /** SIGKILL, and the end that follows. */
  kill(): Promise<void>
  /** SIGTERM; SIGKILL where that is not enough in time. Resolves with the exit code. */
  end(): Promise<number | null>
  send(message: string): void
  message(): Promise<unknown>
  /** User and system time of all its threads, since it began. */
  cpuSeconds(): number
  residentMebibytes(): number
  /** Since it began, or since `forgetPeak`. */
  peakMebibytes(): number
  forgetPeak(): void
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The relay gives itself less. */
const END_PATIENCE_MS = 15_000

export function startNode({ words, environment, hasChannel = false }: NodeProcessOptions): NodeProcess {
  const { PATH = '', NODE_COMPILE_CACHE = '', TMPDIR = '' } = process.env
  const child = spawn(process.execPath, words, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe', ...(hasChannel ? (['ipc'] as const) : [])],
    env: { PATH, NODE_COMPILE_CACHE, ...(TMPDIR !== '' && { TMPDIR }), ...environment },
  })
  const stdout = child.stdout!
  const pid = child.pid!
  const ended = once(child, 'close').then(([code]) => code as number | null)
  void ended.finally(atExit(() => child.kill('SIGKILL')))
  const stderr: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => stderr.push(line))
  const lines = createInterface({ input: stdout })

  return {
    pid,
    stderr,
    ended,
    firstLine: (find) =>
      new Promise((resolve, reject) => {
        const listen = (line: string) => {
          const found = find(line)
          if (found === undefined) return
          lines.removeListener('line', listen)
          resolve(found)
        }
        lines.on('line', listen)
        void ended.then((code) => reject(new Error(`ended with ${code}: ${stderr.join('\n')}`)))
      }),
    onLine: (listen) => void lines.on('line', listen),
    ignoreOutput() {
      lines.close()
      stdout.resume()
    },
    signal: (name) => void child.kill(name),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async end() {
      child.kill('SIGTERM')
      const patience = setTimeout(() => child.kill('SIGKILL'), END_PATIENCE_MS)
      const code = await ended
      clearTimeout(patience)
      return code
    },
    send: (message) => void child.send(message),
    message: async () => (await once(child, 'message'))[0] as unknown,
    // utime and stime of proc_pid_stat(5), in ticks of 10 ms.
    cpuSeconds() {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    residentMebibytes: () => readMebibytes(pid, 'VmRSS'),
    peakMebibytes: () => readMebibytes(pid, 'VmHWM'),
    // proc_pid_clear_refs(5): 5 sets the peak back to what is resident now.
    forgetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
  }
}

function readMebibytes(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024)
}
