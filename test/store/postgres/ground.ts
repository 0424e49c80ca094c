/**
 * A database for one test's store, empty and its own until the test ends; with `willCrash` over a wire that can be cut. A crash cuts it
 * for good, ends what the server still has of that process, and has its owner declared dead.
 */
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { openPostgres, type OpenedPostgres, type PostgresOptions } from '../../support/stores.ts'
import type { SharedChange } from '../../../src/store/shared.ts'
import type { Ground, OpenOptions } from '../../contract/store.ts'
import { until } from '../../support/clock.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { TEST } from '../batches.ts'

export interface PostgresGround extends Ground {
  /** Straight to the database. */
  readonly url: string
  open(options?: Partial<PostgresOptions> & Pick<OpenOptions, 'willCrash'>): Promise<OpenedPostgres>
  /** The wire of the process that was opened last with `willCrash`. */
  readonly proxy: TcpProxy
  ask: PostgresServer['ask']
  close(): Promise<void>
}

export async function layGround(t: Test, server: PostgresServer): Promise<PostgresGround> {
  const ground = await layGroundOn(server)
  t.teardown(() => ground.close())
  return ground
}

/** For those who close what they open. */
export async function layGroundOn(server: PostgresServer): Promise<PostgresGround> {
  const url = await server.borrowDatabase()
  const masterKeys = { current: randomBytes(32) }
  const opened = new Set<OpenedPostgres>()
  const proxies: TcpProxy[] = []
  let openings = 0
  let last: { readonly opened: OpenedPostgres; readonly name: string; readonly proxy: TcpProxy } | undefined
  const ask: PostgresServer['ask'] = (sql, values, at = url) => server.ask(sql, values, at)

  return {
    url,
    ask,
    get proxy() {
      return last!.proxy
    },
    async open({ willCrash = false, ...options } = {}) {
      const name = `test ${++openings}`
      const at = new URL(url)
      // All that goes through it is copied once more.
      const proxy = willCrash ? await startTcpProxy({ host: at.hostname, port: Number(at.port) }) : undefined
      if (proxy !== undefined) {
        proxies.push(proxy)
        at.hostname = '127.0.0.1'
        at.port = String(proxy.port)
      }
      const one = await openPostgres({ url: at.href, masterKeys, name, feedPollMs: 100_000, ...options })
      opened.add(one)
      last = proxy && { opened: one, name, proxy }
      return one
    },
    async crash() {
      const { opened: dying, name, proxy } = last!
      proxy.cut()
      opened.delete(dying)
      await ask(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE application_name = $1 AND datname = current_database()`,
        [name],
      )
      await dying.close().catch(() => undefined)
      await ask(
        'UPDATE pinrelay.owners SET dead_at = clock_timestamp() WHERE name = $1 AND dead_at IS NULL',
        [name],
      )
    },
    async close() {
      await Promise.all([...opened].map((one) => one.close().catch(() => undefined)))
      await Promise.all(proxies.map((proxy) => proxy.close()))
      server.giveBackDatabase(url)
    },
  }
}

/** What the other one changes from now on: what the first poll of a feed finds was there before. */
export async function followNews(
  { shared }: Pick<OpenedPostgres, 'shared'>,
  other: Pick<OpenedPostgres, 'shared'>,
): Promise<SharedChange[]> {
  const news: SharedChange[] = []
  let isFollowed = false
  const first = { status: 'closed', reason: 'first', forMs: undefined } as const
  shared.onChange((change) => {
    if (change.kind === 'breaker' && change.breaker.reason === first.reason) isFollowed = true
    else news.push(change)
  })
  await until(async () => {
    await other.shared.putBreaker(TEST, first)
    return isFollowed
  })
  return news
}

/** Of what `pg.Client.query` is asked: a statement with a name is an object. */
export function textOf(asked: unknown): string {
  return typeof asked === 'string' ? asked : (asked as { readonly text: string }).text
}
