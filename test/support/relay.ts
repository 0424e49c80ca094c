/** A relay with its own sandbox and a throw-away store, in this process, for tests of the whole way. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import tap, { type Test } from 'tap'
import type { EngineThread } from '../../src/store/engine/engine.ts'
import { serveEngine } from '../../src/store/engine/serve.ts'
import { readSettings } from '../../src/settings.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { startRelay, type Relay, type RelayOptions } from '../../src/relay.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/sandbox.ts'
import { ask, createAdmin, registerAccounts, type Admin } from './admin.ts'
import { openFolder } from './at-exit.ts'
import { until } from './clock.ts'
import { ACCOUNT, ADMIN_TOKEN, RESERVED_BYTES, TOKEN } from './constants.ts'
import { rawEvent } from './events.ts'
import { differencesFromPinterest } from './pinterest-answers.ts'

export { ACCOUNT, ADMIN_TOKEN, TOKEN } from './constants.ts'

/** A test's part of a relay: an ad account with a relay key for it. */
export interface Guest {
  readonly relay: Relay
  readonly sandbox: Sandbox
  readonly account: string
  readonly relayKey: string
  /** Every log line so far. */
  readonly logLines: string[]
  /** A request to the admin port. */
  readonly admin: Admin
  /** A post to the public port, for the test's account unless told otherwise. Its answer must be Pinterest's, strictly read. */
  post(body: unknown, options?: PostOptions): Promise<Answer>
}

/** A relay that no other test uses. Its account is ACCOUNT. */
export interface Stand extends Guest {
  readonly folder: string
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
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: AnswerBody
}

type More = Pick<RelayOptions, 'clock' | 'startThread'>

/** Starts everything; the test's teardown ends it. The engine has no thread of its own: starting one takes longer than most tests. */
export async function setUp(
  t: Test,
  settings: Record<string, string> = {},
  sandboxOptions: SandboxOptions = {},
  more: More = {},
): Promise<Stand> {
  const running = await run(settings, sandboxOptions, { startThread: startEngineHere, ...more })
  t.teardown(() => running.close())
  const { sandbox, folder, logLines } = running
  return withRelay(running, {
    ...(await register(running, ACCOUNT)),
    sandbox,
    folder,
    logLines,
    restart: running.restart,
  })
}

/** Behind a port like a thread's, so that all that is exchanged is copied. */
function startEngineHere(): EngineThread {
  const { port1: port, port2 } = new MessageChannel()
  serveEngine(port2)
  const thread: EngineThread = Object.assign(new EventEmitter(), {
    postMessage: port.postMessage.bind(port),
    async terminate() {
      port.close()
      thread.emit('exit', 0)
      return 0
    },
  })
  port.on('message', (message) => thread.emit('message', message))
  return thread
}

export type Enter = (t: Test) => Promise<Guest>

/** What most tests need: a relay as it comes, its engine in a thread, with all that it could log, shared by all files of the process. */
export const enter: Enter = shareRelay({ LOG_LEVEL: 'trace' }, {}, {})

/**
 * Starting a relay takes longer than most tests: those that need none of their own enter one that stays up until the
 * process ends. A test gets an account that no other test had, and has to leave none of its events queued; accounts
 * and dead letters go with it. Not its own are what counts all accounts, and the clocks of relay and sandbox.
 */
export function shareRelay(
  settings: Record<string, string> = {},
  sandboxOptions: SandboxOptions = {},
  more: More = { startThread: startEngineHere },
): Enter {
  let starting: Promise<Running> | undefined
  function start(): Promise<Running> {
    const running = run(settings, sandboxOptions, more)
    tap.teardown(async () => (await running).close())
    return running
  }
  return async (t) => {
    const running = await (starting ??= start())
    const { sandbox, logLines } = running
    guests += 1
    const guest = await register(running, String(600_000_000_000 + guests))
    t.teardown(async () => {
      await clear(guest)
      sandbox.faults.clear()
      sandbox.journal.clear()
      sandbox.tokens.set(sandboxOptions.tokens ?? [], sandboxOptions.tokens === undefined)
      logLines.length = 0
    })
    return withRelay(running, { ...guest, sandbox, logLines })
  }
}

let guests = 0

async function clear({ admin }: Pick<Guest, 'admin'>): Promise<void> {
  const { accounts } = (await admin('GET', '/accounts')).body as { accounts: { ad_account_id: string }[] }
  for (const { ad_account_id: id } of accounts) await admin('DELETE', `/accounts/${id}`)
  let cursor: unknown
  do {
    const purge = { filter: {}, ...(cursor === undefined ? {} : { cursor }) }
    cursor = (await admin('POST', '/dead-letters/purge', purge)).body['next_cursor'] ?? undefined
  } while (cursor !== undefined)
}

/** Posts an event that stays queued, and waits until that is why. */
export async function postHeld({ admin, account, post }: Guest, status: string, events = 1): Promise<void> {
  const data = Array.from({ length: events }, () => rawEvent())
  assert.equal((await post({ data }, { headers: { prefer: 'wait=0' } })).status, 202)
  await until(async () => {
    const { queues } = (await admin('GET', `/accounts/${account}`)).body as { queues: { status: string }[] }
    return queues.some((queue) => queue.status === status)
  })
}

interface Running {
  readonly relay: () => Relay
  readonly sandbox: Sandbox
  readonly folder: string
  readonly logLines: string[]
  restart(settings?: Record<string, string>): Promise<void>
  close(): Promise<void>
}

async function run(
  settings: Record<string, string>,
  sandboxOptions: SandboxOptions,
  more: More = {},
): Promise<Running> {
  const { path: folder, remove } = openFolder('test')
  const sandbox = await createSandbox(sandboxOptions)
  const logLines: string[] = []
  const start = (changed: Record<string, string>) => {
    const DATABASE_URL = `sqlite:${join(folder, 'relay.db')}`
    const PINTEREST_CONSENT_URL = `${sandbox.origin}/oauth/`
    const own = { DATABASE_URL, PINTEREST_API_URL: sandbox.url, PINTEREST_CONSENT_URL }
    return startHere({ ...own, ...settings, ...changed }, logLines, more)
  }
  let relay = await start({}).catch(async (error: unknown) => {
    await sandbox.close()
    remove()
    throw error
  })
  return {
    relay: () => relay,
    sandbox,
    folder,
    logLines,
    async restart(more = {}) {
      await relay.close()
      relay = await start(more)
    },
    async close() {
      // First, so that a call left hanging by a fault does not hold the relay's end up.
      await sandbox.close()
      await relay.close()
      remove()
    },
  }
}

/** In this process. */
export function startHere(
  given: Readonly<Record<string, string>>,
  logLines: string[],
  more: More = {},
): Promise<Relay> {
  const ports = { PORT: '0', ADMIN_PORT: '0' }
  const settings = readSettings({ ...ports, DRAIN_MS: '0', ADMIN_TOKEN, RESERVED_BYTES, ...given })
  const destination = { write: (line: string) => void logLines.push(line) }
  const log = createLog({ level: settings.LOG_LEVEL, destination })
  return startRelay({ settings, log, version: 'test', ...more })
}

async function register({ relay }: Running, account: string) {
  const admin = createAdmin(() => relay().adminUrl, ADMIN_TOKEN)
  const relayKey = await registerAccounts(admin, [account], () => ({
    access_token: TOKEN,
    label: 'test shop',
    country: 'US',
  }))
  const post: Guest['post'] = async (body, options = {}) => {
    const { query = '', headers = {}, key = relayKey } = options
    const path = `/v5/ad_accounts/${options.account ?? account}/events${query}`
    const answer = await ask(relay().publicUrl + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    })
    assert.deepEqual(differencesFromPinterest(answer.status, answer.body), [])
    assert.ok(answer.status !== 202 || 'prefer' in headers, '202 without Prefer')
    return { ...answer, body: answer.body as AnswerBody }
  }
  return { account, relayKey, admin, post }
}

/** A restart replaces the relay. */
function withRelay<Rest extends object>({ relay }: Running, rest: Rest): Rest & { readonly relay: Relay } {
  return {
    ...rest,
    get relay() {
      return relay()
    },
  }
}
