/** The relay as a process of its own: for tests about death, signals and what is written to its outputs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ACCOUNT, ADMIN_TOKEN, RESERVED_BYTES, TOKEN } from './relay.ts'

export interface RelayProcess {
  readonly publicUrl: string
  readonly adminUrl: string
  /** Every line of both outputs so far. */
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code, or null for a process that was killed. */
  readonly ended: Promise<number | null>
  /** Registers ACCOUNT and answers a relay key for it. */
  register(): Promise<string>
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env

/** Rejects with what it wrote to stderr when it ends instead of opening its ports. */
export async function startProcess(settings: Readonly<Record<string, string>>): Promise<RelayProcess> {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH, NODE_COMPILE_CACHE, PORT: '0', ADMIN_PORT: '0', ADMIN_TOKEN, RESERVED_BYTES, ...settings },
  })
  const stdout: string[] = []
  const stderr: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => stderr.push(line))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const ports = await new Promise<Map<string, number>>((resolve, reject) => {
    const found = new Map<string, number>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      stdout.push(line)
      const { phrase, port } = JSON.parse(line) as { phrase: string; port?: number }
      if (port !== undefined) found.set(phrase, port)
      if (found.size === 2) resolve(found)
    })
    void ended.then((code) => reject(new Error(`ended with ${code}: ${stderr.join('\n')}`)))
  })
  const adminUrl = `http://127.0.0.1:${ports.get('admin port open')}`
  return {
    publicUrl: `http://127.0.0.1:${ports.get('public port open')}`,
    adminUrl,
    stdout,
    stderr,
    signal: (name) => void child.kill(name),
    ended,
    async register() {
      await ask(adminUrl, 'PUT', `/accounts/${ACCOUNT}`, { access_token: TOKEN, country: 'US' })
      const made = await ask(adminUrl, 'POST', '/keys', { label: 'test', ad_account_ids: [ACCOUNT] })
      return String(made['key'])
    },
  }
}

async function ask(adminUrl: string, method: string, path: string, body: object) {
  const response = await fetch(adminUrl + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await response.json()) as Record<string, unknown>
}
