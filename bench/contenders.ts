/** The sandbox and the contenders, as processes of their own, started as one would. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createAdmin, registerAccounts } from '../test/support/admin.ts'
import { openFolder } from '../test/support/at-exit.ts'
import { startRelayProcess } from '../test/support/relay-process.ts'
import { startStoppablePostgres } from '../test/support/postgres.ts'
import { measureChild, PROBE, startChild, type Child } from './children.ts'

export const CONTENDERS = [
  'ceiling',
  'proxy',
  'direct',
  'graphile-worker',
  'pg-boss',
  'relay',
  'relay, async',
  'relay on PostgreSQL',
] as const
export type ContenderName = (typeof CONTENDERS)[number]

export interface Contender {
  readonly name: ContenderName
  readonly child: Child
  readonly headers: Readonly<Record<string, string>>
  /** Some of its events may arrive after its answers. */
  readonly isQueue: boolean
}

export interface Stage extends AsyncDisposable {
  readonly contenders: readonly Contender[]
  readonly sandbox: Sandbox
  /** Of the one PostgreSQL that serves whoever needs one. */
  databaseSeconds(): number
  /** The first of them is for loads of one account. */
  readonly adAccountIds: readonly string[]
}

export interface Sandbox {
  readonly child: Child
  /** Without a path. */
  readonly url: string
  setLatency(delayMs: number): Promise<void>
  /** Calls that it got since it began. */
  countCalls(): Promise<number>
  /** Different events of these accounts that it took since `forgetEvents`. */
  countEvents(adAccountIds: readonly string[]): Promise<number>
  /** What it keeps would slow down later contenders. */
  forgetEvents(): Promise<void>
}

const ADMIN_TOKEN = 'bench-admin-token'
const ACCESS_TOKEN = 'pina_bench_token'
/** The first of them is for loads of one account. */
const AD_ACCOUNT_IDS = Array.from({ length: 100 }, (_, index) => String(549_755_885_175 + index))
/** As the image has it; the limits are raised, since they are not what is measured. */
const RELAY_SETTINGS = {
  MALLOC_ARENA_MAX: '1',
  PORT: '0',
  ADMIN_PORT: '0',
  ADMIN_TOKEN,
  POSTS_PER_MINUTE: '0',
  CALLS_PER_MINUTE: '1000000',
  CALL_BURST: '10000',
}

/**
 * The rivals that need packages of their own are left out where these are not installed. `upstream`: what is called instead of the
 * sandbox.
 */
export async function openStage(upstream?: string): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  const { path: folder, remove } = openFolder('bench')
  stack.defer(remove)
  const server = await startStoppablePostgres({ isOnDisk: true })
  stack.defer(() => server.close())
  const sandbox = stack.use(await startSandbox())
  const url = upstream ?? sandbox.url
  const contenders: Contender[] = []

  async function addRival(name: ContenderName, script: string, environment = {}): Promise<void> {
    const child = await startChild({
      script,
      environment: { UPSTREAM: url, ACCESS_TOKEN, ...environment },
      findPort: portOf,
    })
    stack.defer(() => child.stop())
    const headers = { authorization: `Bearer ${ACCESS_TOKEN}` }
    contenders.push({ name, child, headers, isQueue: 'DATABASE_URL' in environment })
  }
  async function addRelay(name: ContenderName, database: string): Promise<Contender> {
    const relay = stack.use(await openRelay(url, { DATABASE_URL: database }))
    const contender = { name, child: relay.child, headers: relay.headers, isQueue: true }
    contenders.push(contender)
    return contender
  }

  await addRival('ceiling', 'bench/contenders/ceiling.ts')
  await addRival('proxy', 'bench/contenders/proxy.ts')
  await addRival('direct', 'bench/rivals/direct.js')
  if (areRivalsInstalled()) {
    for (const [name, script] of [
      ['graphile-worker', 'bench/rivals/graphile.js'],
      ['pg-boss', 'bench/rivals/boss.js'],
    ] as const) {
      await addRival(name, script, { DATABASE_URL: await server.createDatabase() })
    }
  }
  const relay = await addRelay('relay', `sqlite:${join(folder, 'relay.db')}`)
  contenders.push({
    ...relay,
    name: 'relay, async',
    headers: { ...relay.headers, prefer: 'respond-async' },
  })
  await addRelay('relay on PostgreSQL', await server.createDatabase())
  const owned = stack.move()
  return {
    sandbox,
    databaseSeconds: () => server.cpuSeconds(),
    adAccountIds: AD_ACCOUNT_IDS,
    contenders,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export function areRivalsInstalled(): boolean {
  return existsSync(new URL('rivals/node_modules', import.meta.url))
}

/** A relay with its accounts and a key for them. */
export interface RelayChild extends AsyncDisposable {
  readonly child: Child
  readonly adAccountIds: readonly string[]
  readonly headers: Readonly<Record<string, string>>
}

export async function openRelay(
  sandboxUrl: string,
  environment: Readonly<Record<string, string>>,
): Promise<RelayChild> {
  const relay = await startRelayProcess({
    settings: {
      ...RELAY_SETTINGS,
      MASTER_KEY: randomBytes(32).toString('base64'),
      PINTEREST_API_URL: `${sandboxUrl}/v5`,
      ...environment,
    },
    preload: [PROBE],
    main: buildOnce(),
  })
  const child = measureChild(relay, relay.port)
  const relayKey = await registerAccounts(createAdmin(relay.adminUrl, ADMIN_TOKEN), AD_ACCOUNT_IDS, () => ({
    access_token: ACCESS_TOKEN,
    country: 'US',
  }))
  return {
    child,
    adAccountIds: AD_ACCOUNT_IDS,
    headers: { authorization: `Bearer ${relayKey}` },
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

/** The relay as the image runs it. */
let main: string | undefined
function buildOnce(): string {
  if (main === undefined) execFileSync(process.execPath, ['build.ts'])
  return (main = 'dist/src/main.js')
}

export async function startSandbox(): Promise<Sandbox & AsyncDisposable> {
  const child = await startChild({
    script: 'sandbox/main.ts',
    environment: { SANDBOX_PORT: '0', SANDBOX_CALLS_PER_MINUTE: '0', SANDBOX_JOURNAL_CALLS: '0' },
    findPort: (line) => Number(/PINTEREST_API_URL=http:\/\/[^:]+:(\d+)/.exec(line)?.[1]) || undefined,
  })
  const control = createSandboxControl(child, `http://127.0.0.1:${child.port}`)
  return { ...control, [Symbol.asyncDispose]: () => child.stop() }
}

/** From a log line of the relay, or of a contender. */
export function portOf(line: string): number | undefined {
  return line.startsWith('{') ? (JSON.parse(line) as { port?: number }).port : undefined
}

function createSandboxControl(child: Child, url: string): Sandbox {
  return {
    child,
    url,
    async setLatency(delayMs) {
      const faults = delayMs === 0 ? [] : [{ kind: 'latency', delayMs }]
      await ask(`${url}/_sandbox/faults`, { method: 'PUT', body: faults })
    },
    async countCalls() {
      const { accounts } = (await ask(`${url}/_sandbox/stats`)) as {
        accounts: Record<string, { calls: number }>
      }
      return Object.values(accounts).reduce((sum, { calls }) => sum + calls, 0)
    },
    async countEvents(adAccountIds) {
      let events = 0
      for (const adAccountId of adAccountIds) {
        const path = `events?ad_account_id=${adAccountId}&counts=false`
        events += ((await ask(`${url}/_sandbox/${path}`)) as { distinct: number }).distinct
      }
      return events
    },
    async forgetEvents() {
      await ask(`${url}/_sandbox/events`, { method: 'DELETE' })
    },
  }
}

interface Asking {
  readonly method: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

async function ask(url: string, { method, headers, body }: Asking = { method: 'GET' }): Promise<unknown> {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? null : JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${method} ${url} got ${response.status}`)
  const text = await response.text()
  return text === '' ? undefined : JSON.parse(text)
}
