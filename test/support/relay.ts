/** A relay with its own sandbox and a throw-away store, in this process, for tests of the whole way. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Clock } from '../../src/clock.ts'
import { readConfig } from '../../src/config.ts'
import { createLog } from '../../src/log.ts'
import { startRelay, type Relay } from '../../src/relay.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.ts'
import { createAdmin, readBody, registerAccounts, type Admin } from './admin.ts'
import { ACCOUNT, ADMIN_TOKEN, RESERVED_BYTES, TOKEN } from './constants.ts'

export { ACCOUNT, ADMIN_TOKEN, TOKEN } from './constants.ts'

export interface Stand {
  readonly relay: Relay
  readonly sandbox: Sandbox
  readonly folder: string
  readonly relayKey: string
  /** Every log line so far. */
  readonly logLines: string[]
  /** A request to the admin port. */
  readonly admin: Admin
  /** A post to the public port, for ACCOUNT unless told otherwise. */
  post(body: unknown, options?: PostOptions): Promise<Answer>
  restart(settings?: Record<string, string>): Promise<void>
}

export interface PostOptions {
  readonly account?: string
  readonly query?: string
  readonly headers?: Record<string, string>
  readonly key?: string
}

interface EventAnswers {
  readonly num_events_received?: number
  readonly num_events_processed?: number
  readonly events?: readonly { status: string; error_message: string; warning_message: string }[]
}

export interface AnswerBody extends EventAnswers {
  readonly code?: number
  readonly message?: string
  readonly details?: EventAnswers
  readonly relay?: { readonly queued: number }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: AnswerBody
}

/** Starts everything; the test's teardown ends it. */
export async function setUp(
  t: Test,
  settings: Record<string, string> = {},
  sandboxOptions: SandboxOptions = {},
  clock?: Clock,
): Promise<Stand> {
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-test-'))
  const sandbox = await createSandbox(sandboxOptions)
  const logLines: string[] = []
  const start = (more: Record<string, string>) => {
    const config = readConfig({
      PORT: '0',
      DRAIN_MS: '0',
      ADMIN_PORT: '0',
      ADMIN_TOKEN,
      DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
      PINTEREST_API_URL: sandbox.url,
      PINTEREST_CONSENT_URL: `${sandbox.origin}/oauth/`,
      RESERVED_BYTES,
      ...settings,
      ...more,
    })
    return startRelay({
      config,
      log: createLog({ level: config.LOG_LEVEL, destination: { write: (line) => void logLines.push(line) } }),
      version: 'test',
      ...(clock && { clock }),
    })
  }
  let relay = await start({})
  t.teardown(async () => {
    // First, so that a call left hanging by a fault does not hold the relay's end up.
    await sandbox.close()
    await relay.close()
    await rm(folder, { recursive: true, force: true })
  })

  const stand: Omit<Stand, 'relayKey' | 'relay'> = {
    sandbox,
    folder,
    logLines,
    admin: createAdmin(() => relay.adminUrl, ADMIN_TOKEN),
    async post(body, { account = ACCOUNT, query = '', headers = {}, key = relayKey } = {}) {
      const response = await fetch(`${relay.publicUrl}/v5/ad_accounts/${account}/events${query}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      })
      return {
        status: response.status,
        headers: response.headers,
        body: (await readBody(response)) as AnswerBody,
      }
    },
    async restart(more = {}) {
      await relay.close()
      relay = await start(more)
    },
  }
  const relayKey = await registerAccounts(stand.admin, [ACCOUNT], () => ({
    access_token: TOKEN,
    label: 'test shop',
    country: 'US',
  }))
  return {
    ...stand,
    relayKey,
    get relay() {
      return relay
    },
  }
}
