/** Contenders and the sandbox as processes of their own, each with a probe of its event loop's delay. */
import { fileURLToPath } from 'node:url'
import { startNode, type NodeProcess } from '../test/support/node-process.ts'

export interface Child extends Pick<
  NodeProcess,
  'pid' | 'cpuSeconds' | 'peakMebibytes' | 'residentMebibytes' | 'forgetPeak'
> {
  /** The port that it printed. */
  readonly port: number
  forgetLoopDelay(): void
  /** p99 in milliseconds, since `forgetLoopDelay`. */
  loopDelayMs(): Promise<number>
  stop(): Promise<void>
}

export interface ChildOptions {
  readonly script: string
  readonly environment?: Readonly<Record<string, string>>
  /** Finds the port in a line that it prints. */
  readonly findPort: (line: string) => number | undefined
}

export const PROBE = fileURLToPath(new URL('./probe.js', import.meta.url))

export async function startChild({ script, environment = {}, findPort }: ChildOptions): Promise<Child> {
  const child = startNode({ words: ['--import', PROBE, script], environment, hasChannel: true })
  return measureChild(child, await child.firstLine(findPort))
}

/** A process that has loaded the probe. */
export function measureChild(child: NodeProcess, port: number): Child {
  // A line per post follows: whoever read them would pay for it on the load generator's account.
  child.ignoreOutput()
  return {
    ...child,
    port,
    forgetLoopDelay: () => child.send('reset'),
    async loopDelayMs() {
      child.send('read')
      return (await child.message()) as number
    },
    stop: () => child.kill(),
  }
}
