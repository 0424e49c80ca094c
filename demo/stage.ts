/**
 * Everything that the demo needs, on free ports: the sandbox in this process, the relay in its own, a store that is
 * thrown away, three accounts and a key for each. And the two ways to speak to the relay: as a shop, as an operator.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createSandbox, type Sandbox } from '../sandbox/sandbox.ts'
import { askAdmin, createAdmin } from '../test/support/admin.ts'
import { openFolder } from '../test/support/at-exit.ts'
import { RESERVED_BYTES } from '../test/support/constants.ts'
import { findFreePort } from '../test/support/ports.ts'
import { startRelayProcess } from '../test/support/relay-process.ts'

export interface Shop {
  readonly adAccountId: string
  readonly label: string
  /** Pinterest's token: known to the relay and to Pinterest, never to the shop. */
  readonly accessToken: string
  readonly relayKey: string
  readonly country: string
  readonly postsPerMinute?: number
}

export interface Stage extends AsyncDisposable {
  readonly sandbox: Sandbox
  readonly shops: Readonly<Record<ShopName, Shop>>
  readonly publicUrl: string
  readonly adminUrl: string
  readonly adminToken: string
  /** Where the relay keeps its store, keys and all. */
  readonly folder: string
  /** Every line that the relay logged so far. */
  readonly logLines: readonly string[]
  post(shop: Shop, events: readonly unknown[], options?: PostOptions): Promise<Answer>
  /** A request to the admin port that must succeed. */
  admin(method: string, path: string, body: object): Promise<unknown>
  totals(): Promise<Totals>
  /** `kill -9`, and a new process on the same store and ports. */
  killAndStartAgain(): Promise<void>
}

export type ShopName = 'main' | 'busy' | 'quiet'

export interface PostOptions {
  readonly isTest?: boolean
  readonly prefer?: string
}

export interface EventAnswer {
  readonly status: string
  readonly error_message: string
  readonly warning_message: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** Pinterest's code, in errors. */
  readonly code: number | undefined
  /** One per event, wherever the answer carries them. */
  readonly entries: readonly EventAnswer[]
}

export interface Totals {
  readonly received: number
  readonly delivered: number
  readonly rejected: number
  readonly expired: number
  readonly filtered: number
  readonly queued: number
  readonly duplicate: number
  readonly invalid: number
}

export async function openStage(): Promise<Stage> {
  await using opened = new AsyncDisposableStack()
  const { path: folder, remove } = openFolder('demo')
  opened.defer(remove)

  const sandbox = await createSandbox({
    tokens: PLANS.map(({ adAccountId, accessToken }) => ({ accessToken, adAccountIds: [adAccountId] })),
  })
  opened.defer(() => sandbox.close())

  const adminToken = randomBytes(24).toString('base64url')
  const logLines: string[] = []
  // The same after `kill -9`.
  const ports = { PORT: String(await findFreePort()), ADMIN_PORT: String(await findFreePort()) }
  const start = () =>
    startRelayProcess({
      settings: {
        ...ports,
        ADMIN_TOKEN: adminToken,
        DRAIN_MS: '0',
        DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
        PINTEREST_API_URL: sandbox.url,
        // Random bytes, which would be most of what the demo searches for leaks.
        RESERVED_BYTES,
      },
      onLog: (line) => void logLines.push(line),
    })
  let relay = await start()
  // A scene that still runs when the stage closes must not start a relay that nobody ends.
  const closing = new AbortController()
  let startingAgain: Promise<unknown> = Promise.resolve()
  opened.defer(async () => {
    closing.abort()
    await startingAgain.catch(() => {})
    await relay.end()
  })
  const signal = () => AbortSignal.any([closing.signal, AbortSignal.timeout(ANSWER_MS)])
  const { publicUrl, adminUrl } = relay
  const admin = createAdmin(adminUrl, adminToken)

  const register = async (plan: Plan): Promise<Shop> => {
    const { adAccountId, label, accessToken, country, postsPerMinute } = plan
    await askAdmin(admin, 'PUT', `/accounts/${adAccountId}`, {
      access_token: accessToken,
      label,
      country,
      ...(postsPerMinute !== undefined && { posts_per_minute: postsPerMinute }),
    })
    const made = await askAdmin<{ key: string }>(admin, 'POST', '/keys', {
      label,
      ad_account_ids: [adAccountId],
    })
    return { ...plan, relayKey: made.key }
  }
  const [main, busy, quiet] = PLANS
  const shops = { main: await register(main), busy: await register(busy), quiet: await register(quiet) }
  const parts = opened.move()

  return {
    sandbox,
    shops,
    publicUrl,
    adminUrl,
    adminToken,
    folder,
    logLines,
    async post({ adAccountId, relayKey }, events, { isTest = false, prefer } = {}) {
      const query = isTest ? '?test=true' : ''
      const response = await fetch(`${publicUrl}/v5/ad_accounts/${adAccountId}/events${query}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${relayKey}`,
          'content-type': 'application/json',
          ...(prefer !== undefined && { prefer }),
        },
        body: JSON.stringify({ data: events }),
        signal: signal(),
      })
      const body = (await response.json()) as AnswerBody
      const entries = body.events ?? body.details?.events ?? []
      return { status: response.status, headers: response.headers, code: body.code, entries }
    },
    admin: (method, path, body) => askAdmin(admin, method, path, body),
    totals: () => askAdmin<Totals>(admin, 'GET', '/totals'),
    async killAndStartAgain() {
      closing.signal.throwIfAborted()
      const startAgain = async () => {
        await relay.kill()
        relay = await start()
      }
      startingAgain = startAgain()
      await startingAgain
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

interface AnswerBody {
  readonly code?: number
  readonly events?: readonly EventAnswer[]
  readonly details?: { readonly events?: readonly EventAnswer[] }
}

/** Longer than the relay lets any post wait. */
const ANSWER_MS = 35_000

type Plan = Omit<Shop, 'relayKey'>

const PLANS = [
  {
    adAccountId: '549755885175',
    label: 'a shop in many countries',
    accessToken: 'pina_DEMO_main_0123456789abcdef_7Kq2',
    country: 'US',
  },
  {
    adAccountId: '549755885176',
    label: 'a shop on sale day',
    accessToken: 'pina_DEMO_busy_0123456789abcdef_M4xw',
    country: 'GB',
    postsPerMinute: 120,
  },
  {
    adAccountId: '549755885177',
    label: 'a small shop',
    accessToken: 'pina_DEMO_quiet_0123456789abcdef_p9Tz',
    country: 'DE',
  },
] as const satisfies readonly Plan[]
