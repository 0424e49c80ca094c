/** What the connections that write posts do, by `pg_stat_activity`, and how many transactions a post takes. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

const EVERY_MS = 15

const DOES = {
  'waits for its replica, in a transaction': `state = 'idle in transaction'`,
  'waits for its next transaction': `state = 'idle'`,
  'syncs the WAL': `state = 'active' AND wait_event ~ 'WalSync|WALSync'`,
  'waits for the sync of another': `state = 'active' AND wait_event ~ 'WALWrite'`,
  'waits for a row': `state = 'active' AND wait_event_type = 'Lock'`,
} as const
const WORKS = 'works'

export interface Waits {
  /** Parts of the samples, by what the connections did. */
  readonly shares: Readonly<Record<string, number>>
  readonly transactions: number
}

/** Answers a function that ends it. `url`: of the relays' database. */
export async function watchWaits(url: string): Promise<() => Promise<Waits>> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench' })
  await client.connect()
  const cases = Object.entries(DOES).map(([what, condition]) => `WHEN ${condition} THEN '${what}'`)
  const writers = new Set<number>()
  const samples = new Map<string, number>()
  let isOver = false
  async function readTransactions(): Promise<number> {
    // What sessions count arrives within a second.
    await pause(1000)
    const sql = 'SELECT xact_commit::float8 AS count FROM pg_stat_database WHERE datname = current_database()'
    return (await client.query<{ count: number }>(sql)).rows[0]!.count
  }
  async function sample(): Promise<void> {
    while (!isOver) {
      const { rows } = await client.query<{ pid: number; is_writer: boolean; does: string }>(
        `SELECT pid, query LIKE '%SET commit_number%' AS is_writer, CASE ${cases.join(' ')} ELSE '${WORKS}' END AS does
         FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state IS NOT NULL`,
      )
      for (const { pid, is_writer: isWriter, does } of rows) {
        if (isWriter) writers.add(pid)
        if (writers.has(pid)) samples.set(does, (samples.get(does) ?? 0) + 1)
      }
      await pause(EVERY_MS)
    }
  }
  const before = await readTransactions()
  const sampling = sample()
  return async () => {
    isOver = true
    await sampling
    const transactions = (await readTransactions()) - before
    await client.end()
    const all = [...samples.values()].reduce((sum, count) => sum + count, 0)
    const shares = [...Object.keys(DOES), WORKS].map((what) => [what, (samples.get(what) ?? 0) / all])
    return { shares: Object.fromEntries(shares), transactions }
  }
}
