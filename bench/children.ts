/** Contenders and the sandbox as processes of their own, and what they cost. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Child {
  readonly process: ChildProcess
  /** The port that it printed; 0 when none was asked for. */
  readonly port: number
  cpuSeconds(): number
  peakMebibytes(): number
  stop(): Promise<void>
}

/** Starts a script and reads its output until `findPort` finds the port in a line. */
export async function startChild(
  script: string,
  environment: Readonly<Record<string, string>>,
  findPort: (line: string) => number | undefined,
  nodeOptions: readonly string[] = [],
): Promise<Child> {
  const path = fileURLToPath(new URL(`../${script}`, import.meta.url))
  const child = spawn(process.execPath, [...nodeOptions, path], {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)))
    const lines = createInterface({ input: child.stdout })
    lines.on('line', (line) => {
      const found = findPort(line)
      if (found === undefined) return
      resolve(found)
      // A line per post follows: whoever reads them would pay for it on the load generator's account.
      lines.close()
      child.stdout.resume()
    })
  })
  return {
    process: child,
    port,
    cpuSeconds: () => readCpuSeconds(child.pid!),
    peakMebibytes: () => readPeakMebibytes(child.pid!),
    async stop() {
      child.removeAllListeners('exit')
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** utime and stime of all threads, from /proc (Linux only): clock ticks of 10 ms. */
function readCpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function readPeakMebibytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(line?.[1] ?? 0) / 1024)
}
