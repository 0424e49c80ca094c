/** Starts `committer.ts` and follows what it prints. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Committer {
  /** Everything that was printed so far. */
  readonly lines: readonly string[]
  /** Resolves when it has printed so many lines, or has ended. */
  printed(count: number): Promise<void>
  /** SIGKILL; resolves when it is gone and all that it printed was read. */
  kill(): Promise<void>
}

const SCRIPT = fileURLToPath(new URL('./committer.ts', import.meta.url))

export function startCommitter(path: string, masterKey: Uint8Array, first = 0): Committer {
  const key = Buffer.from(masterKey).toString('base64')
  const child = spawn(process.execPath, [SCRIPT, path, key, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  const ended = once(reader, 'close')
  let onLine = () => {}
  reader.on('line', (line) => {
    lines.push(line)
    onLine()
  })

  return {
    lines,
    async printed(count) {
      const enough = new Promise<void>((resolve) => {
        onLine = () => {
          if (lines.length >= count) resolve()
        }
        onLine()
      })
      await Promise.race([enough, ended])
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
