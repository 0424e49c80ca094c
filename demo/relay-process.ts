/**
 * The relay as operators run it: `node src/main.ts` in a process of its own, with settings from the environment. The
 * ports that it chose are read from its log.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface RelayProcess {
  readonly port: number
  readonly adminPort: number
  /** SIGKILL: no time to put anything in order. */
  kill(): Promise<void>
  /** SIGTERM: in order. */
  end(): Promise<void>
}

export interface RelayProcessOptions {
  readonly settings: Readonly<Record<string, string>>
  /** Gets every line of the log. */
  readonly onLog: (line: string) => void
}

/** Rejects with what the relay says when it cannot start. */
export async function startRelayProcess({ settings, onLog }: RelayProcessOptions): Promise<RelayProcess> {
  const child = spawn(process.execPath, [MAIN], {
    // Nothing else of this process's environment: a PORT that is set here is not meant for the demo.
    env: { PATH: process.env['PATH'], ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  let complaint = ''
  child.stderr.on('data', (bytes: Buffer) => {
    complaint += bytes.toString()
  })

  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal)
    const isLate = await Promise.race([exited.then(() => false), delay(PATIENCE_MS, true, { ref: false })])
    if (isLate) child.kill('SIGKILL')
    await exited
  }

  const ports = new Promise<{ port: number; adminPort: number }>((resolve) => {
    let port: number | undefined
    createInterface({ input: child.stdout }).on('line', (line) => {
      onLog(line)
      if (!line.includes(' port open"')) return
      const entry = JSON.parse(line) as { phrase: string; port: number }
      if (entry.phrase === 'public port open') port = entry.port
      else if (port !== undefined) resolve({ port, adminPort: entry.port })
    })
  })
  const cannotStart = exited.then((): never => {
    throw new Error(complaint.trim() || 'the relay ended before it had started')
  })
  // Once it has started nobody asks any more.
  cannotStart.catch(() => {})
  const tooSlow = delay(START_MS, undefined, { ref: false }).then((): never => {
    throw new Error('the relay did not start in time')
  })
  tooSlow.catch(() => {})
  try {
    const found = await Promise.race([ports, cannotStart, tooSlow])
    return { ...found, kill: () => end('SIGKILL'), end: () => end('SIGTERM') }
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
}

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const START_MS = 20_000
/** The relay gives itself less. */
const PATIENCE_MS = 12_000
