/** Relays in this process that share one PostgreSQL, before one sandbox. */
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { Relay } from '../../src/relay.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.ts'
import { ask, createAdmin, registerAccounts, type Admin } from '../support/admin.ts'
import { until } from '../support/clock.ts'
import type { PostgresServer } from '../support/postgres.ts'
import { ACCOUNT, ADMIN_TOKEN, startHere, TOKEN } from '../support/relay.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

export interface Replica {
  readonly relay: Relay
  /** Between it and the database. */
  readonly proxy: TcpProxy
  readonly logLines: string[]
  readonly admin: Admin
  post(body: unknown, options?: { readonly headers?: Record<string, string> }): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

export interface ReplicaStage {
  readonly replicas: readonly Replica[]
  readonly sandbox: Sandbox
  readonly relayKey: string
  /** One more. */
  start(): Promise<Replica>
}

export async function setUpReplicas(
  t: Test,
  server: PostgresServer,
  settings: Readonly<Record<string, string>> = {},
  sandboxOptions: SandboxOptions = {},
): Promise<ReplicaStage> {
  const url = await server.borrowDatabase()
  // Last, since the relays close before.
  t.teardown(() => server.giveBackDatabase(url))
  const sandbox = await createSandbox(sandboxOptions)
  const MASTER_KEY = randomBytes(32).toString('base64')
  let relayKey = ''

  async function start(): Promise<Replica> {
    const { hostname: host, port } = new URL(url)
    const proxy = await startTcpProxy({ host, port: Number(port) })
    const wired = new URL(url)
    wired.hostname = '127.0.0.1'
    wired.port = String(proxy.port)
    const logLines: string[] = []
    const own = { MASTER_KEY, DATABASE_URL: wired.href, PINTEREST_API_URL: sandbox.url }
    const relay = await startHere({ ...own, ...settings }, logLines)
    t.teardown(async () => {
      await relay.close()
      await proxy.close()
    })
    return {
      relay,
      proxy,
      logLines,
      admin: createAdmin(relay.adminUrl, ADMIN_TOKEN),
      async post(body, { headers = {} } = {}) {
        const answer = await ask(`${relay.publicUrl}/v5/ad_accounts/${ACCOUNT}/events`, {
          method: 'POST',
          headers: { authorization: `Bearer ${relayKey}`, 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        })
        return { ...answer, body: answer.body as Record<string, unknown> }
      },
    }
  }

  t.teardown(() => sandbox.close())
  // One after the other: a start keeps this thread, and with it the other one's proxy, from answering in time on a busy machine.
  const first = await start()
  const second = await start()
  relayKey = await registerAccounts(first.admin, [ACCOUNT], () => ({ access_token: TOKEN, country: 'US' }))
  await until(async () => (await second.post({ data: [] })).status === 400)
  return { replicas: [first, second], sandbox, relayKey, start }
}
