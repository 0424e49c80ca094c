/** The relay as operators run it, `npm start`, as a process of its own; it says in its log which ports it chose. */
import { readFileSync } from 'node:fs'
import { startNode, type NodeProcess } from './node-process.ts'

export interface RelayProcess extends NodeProcess {
  readonly port: number
  readonly adminPort: number
  readonly publicUrl: string
  readonly adminUrl: string
}

export interface RelayProcessOptions {
  readonly settings: Readonly<Record<string, string>>
  /** Gets every line of the log. */
  readonly onLog?: (line: string) => void
  /** Modules that Node loads first. */
  readonly preload?: readonly string[]
  /** Instead of src/main.ts. */
  readonly main?: string
}

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly scripts: { readonly start: string }
}
const FLAGS = manifest.scripts.start.split(' ').slice(1, -1)

/** Not yet ready: for deaths at the start. */
export function spawnRelay({
  settings,
  preload = [],
  main = 'src/main.ts',
}: RelayProcessOptions): NodeProcess {
  const imports = preload.flatMap((module) => ['--import', module])
  const environment = { PORT: '0', ADMIN_PORT: '0', ...settings }
  return startNode({ words: [...imports, ...FLAGS, main], environment, hasChannel: preload.length > 0 })
}

/** Resolves when both ports are open. Rejects with what it wrote to standard error when it ends before. */
export async function startRelayProcess(options: RelayProcessOptions): Promise<RelayProcess> {
  const child = spawnRelay(options)
  if (options.onLog) child.onLine(options.onLog)
  const ports = new Map<string, number>()
  await child.firstLine((line) => {
    if (!line.includes(' port open"')) return undefined
    const { phrase, port } = JSON.parse(line) as { phrase: string; port: number }
    return ports.set(phrase, port).size === 2 || undefined
  })
  const port = ports.get('public port open')!
  const adminPort = ports.get('admin port open')!
  return {
    ...child,
    port,
    adminPort,
    publicUrl: `http://127.0.0.1:${port}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
  }
}
