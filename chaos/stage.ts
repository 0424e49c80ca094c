/**
 * A sandbox in this process, and a relay in one of its own on a throw-away store. The relay keeps its ports over its
 * restarts, so that clients come back to it as they would to a real one.
 */
import { join } from 'node:path'
import { createSandbox, type Sandbox } from '../sandbox/sandbox.ts'
import { askAdmin, createAdmin } from '../test/support/admin.ts'
import { openFolder } from '../test/support/at-exit.ts'
import { findFreePort } from '../test/support/ports.ts'
import type { Totals } from '../src/store/store.ts'
import { nowMs } from './now.ts'
import type { Random } from '../test/support/random.ts'
import { killWhileStarting, startRelayProcess, type Kill, type RelayProcess } from './relay-process.ts'

export interface Stage {
  readonly sandbox: Sandbox
  readonly folder: string
  readonly port: number
  /** Of several relays, where clients choose one themselves. */
  readonly ports?: readonly number[]
  readonly accounts: readonly string[]
  readonly relayKey: string
  /** The one that runs now. */
  relay(): RelayProcess
  /** Starts it again, after `relay().kill()` or `.end()`. */
  restart(settings?: Readonly<Record<string, string>>): Promise<RelayProcess>
  /** Starts it and kills it before it is ready. */
  killWhileStarting(afterMs: number): Promise<Kill>
  admin<Body>(method: string, path: string, body?: unknown): Promise<Body>
  totals(adAccountId?: string): Promise<Totals>
  /** Registers the accounts' tokens again, as an operator would: held queues are released. */
  registerAccounts(): Promise<void>
  close(): Promise<void>
}

/** Asks a relay's admin port for what must be a good answer. */
export function createAsk(adminUrl: string): Stage['admin'] {
  const admin = createAdmin(adminUrl, ADMIN_TOKEN)
  return <Body>(method: string, path: string, body?: unknown) => askAdmin<Body>(admin, method, path, body)
}

export interface StageOptions {
  readonly accountCount: number
  readonly random: Random
  readonly settings?: Readonly<Record<string, string>>
  /** Without it the sandbox of this process, which holds nobody back: it only counts. */
  readonly sandboxUrl?: string
}

export const ADMIN_TOKEN = 'admin-token-of-the-chaos'
export const FIRST_ACCOUNT = 549_755_885_175
/** The harness empties the journal itself; until then it must hold all. */
export const JOURNAL = { maxCalls: 1_000_000, maxBytes: 2 ** 31 }

export async function setStage(options: StageOptions): Promise<Stage> {
  const { path: folder, remove } = openFolder('chaos')
  const { random } = options
  const sandbox = await createSandbox({
    callsPerMinute: 0,
    journal: JOURNAL,
    now: nowMs,
    random: () => random.next(),
  })
  const accounts = Array.from({ length: options.accountCount }, (_, n) => String(FIRST_ACCOUNT + n))
  const [port, adminPort] = [await findFreePort(), await findFreePort()]
  const settings = {
    PORT: String(port),
    ADMIN_PORT: String(adminPort),
    ADMIN_TOKEN,
    DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
    PINTEREST_API_URL: options.sandboxUrl ?? sandbox.url,
    POSTS_PER_MINUTE: '0',
    ...options.settings,
  }
  let relay = await startRelayProcess(settings)

  const admin = createAsk(`http://127.0.0.1:${adminPort}`)

  async function registerAccounts(): Promise<void> {
    for (const id of accounts) {
      await admin('PUT', `/accounts/${id}`, { access_token: `pina_token_of_${id}`, country: 'US' })
    }
  }

  await registerAccounts()
  const made = await admin<{ key: string }>('POST', '/keys', { label: 'chaos', ad_account_ids: accounts })
  return {
    sandbox,
    folder,
    port,
    accounts,
    relayKey: made.key,
    relay: () => relay,
    async restart(more = {}) {
      relay = await startRelayProcess({ ...settings, ...more })
      return relay
    },
    killWhileStarting: (afterMs) => killWhileStarting(settings, afterMs),
    admin,
    totals: (adAccountId) =>
      admin<Totals>('GET', adAccountId === undefined ? '/totals' : `/totals?ad_account_id=${adAccountId}`),
    registerAccounts,
    async close() {
      await sandbox.close()
      await relay.kill()
      remove()
    },
  }
}
