/** Contenders and the sandbox as processes of their own, and what they cost. Linux only: it reads /proc. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Child {
  /** The port that it printed. */
  readonly port: number
  /** Of all its threads, since it began. */
  cpuSeconds(): number
  /** Since it began, or since `forgetPeak`. */
  peakMebibytes(): number
  residentMebibytes(): number
  forgetPeak(): void
  forgetLoopDelay(): void
  /** p99 in milliseconds, since `forgetLoopDelay`. */
  loopDelayMs(): Promise<number>
  stop(): Promise<void>
}

export interface ChildOptions {
  readonly script: string
  readonly environment?: Readonly<Record<string, string>>
  readonly nodeOptions?: readonly string[]
  /** Finds the port in a line that it prints. */
  readonly findPort: (line: string) => number | undefined
}

export async function startChild(options: ChildOptions): Promise<Child> {
  const { script, environment = {}, nodeOptions = [], findPort } = options
  const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))
  const words = ['--import', pathOf('./probe.ts'), ...nodeOptions, pathOf(`../${script}`)]
  const child = spawn(process.execPath, words, {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)))
    const lines = createInterface({ input: child.stdout! })
    lines.on('line', (line) => {
      const found = findPort(line)
      if (found === undefined) return
      resolve(found)
      // A line per post follows: whoever reads them would pay for it on the load generator's account.
      lines.close()
      child.stdout!.resume()
    })
  })
  const pid = child.pid!
  return {
    port,
    cpuSeconds: () => readCpuSeconds(pid),
    peakMebibytes: () => readMemory(pid, 'VmHWM'),
    residentMebibytes: () => readMemory(pid, 'VmRSS'),
    // See proc_pid_clear_refs(5): 5 sets the peak back to what is resident now.
    forgetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
    forgetLoopDelay: () => void child.send('reset'),
    async loopDelayMs() {
      child.send('read')
      const [delayMs] = (await once(child, 'message')) as [number]
      return delayMs
    },
    async stop() {
      child.removeAllListeners('exit')
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** utime and stime, see proc_pid_stat(5): clock ticks of 10 ms. */
function readCpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function readMemory(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024)
}
