/** What the database is asked for one post, one call and one lease while accounts and backlog grow. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { dedupeKeys } from '../src/store/core/sealed.ts'
import type { QueueKey, Store } from '../src/store/store.ts'
import { joinEvents, postedAs } from '../test/support/payload.ts'
import type { PostgresServer } from '../test/support/postgres.ts'
import { openPostgres } from '../test/support/stores.ts'

export interface StatementRow {
  readonly accounts: number
  readonly waitingBatches: number
  readonly perCommit: number
  readonly perAcknowledge: number
  readonly perLease: number
  readonly leaseMs: number
}

const GROWTH = [
  { accounts: 1, waitingBatches: 0 },
  { accounts: 100, waitingBatches: 10_000 },
  { accounts: 1000, waitingBatches: 100_000 },
  { accounts: 10_000, waitingBatches: 1_000_000 },
]

export async function countStatements(server: PostgresServer): Promise<StatementRow[]> {
  const url = await server.createDatabase()
  const opened = await openPostgres({
    url,
    masterKeys: { current: randomBytes(32) },
    heartbeatMs: 3_600_000,
    feedPollMs: 3_600_000,
  })
  const { store, vaultStore } = opened
  try {
    const rows: StatementRow[] = []
    let accountsSoFar = 0
    let batchesSoFar = 0
    for (const { accounts, waitingBatches } of GROWTH) {
      const documents = Array.from({ length: accounts - accountsSoFar }, (_, n) => ({
        kind: 'account',
        id: String(accountsSoFar + n),
        body: Buffer.alloc(400),
      }))
      await vaultStore.changeVault(() => documents)
      await server.ask(
        `INSERT INTO pinrelay.batches (batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes,
           event_count, pending_count, attempts, received_at_ms, sealed)
         SELECT -n, (n % $1)::text, false, false, 1700000000 - n % 7000, 700, 1, 1, 0, 1700000000000, repeat('x', 760)::bytea
         FROM generate_series($2::bigint, $3::bigint) AS n`,
        [accounts, batchesSoFar + 1, waitingBatches],
        url,
      )
      await server.ask('ANALYZE pinrelay.batches', [], url)
      ;[accountsSoFar, batchesSoFar] = [accounts, waitingBatches]
      rows.push({ accounts, waitingBatches, ...(await countWork(store)) })
    }
    return rows
  } finally {
    await opened.close()
  }
}

async function countWork(store: Store) {
  const queue = { adAccountId: 'bench', isTest: false }
  await commit(store, queue)
  let batchId = 0
  const perCommit = await countOf(async () => (batchId = await commit(store, queue)))
  const perAcknowledge = await countOf(() =>
    store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: Date.now() }]),
  )
  const leased = await commit(store, queue)
  await store.release([{ batchId: leased, attempts: 0, history: [] }])
  const request = { ...queue, maxEvents: 2000, maxBytes: 2 ** 21, nowMs: Date.now() }
  const startedMs = performance.now()
  const perLease = await countOf(() => store.lease(request))
  return { perCommit, perAcknowledge, perLease, leaseMs: performance.now() - startedMs }
}

let serial = 0
async function commit(store: Store, queue: QueueKey): Promise<number> {
  const eventId = `bench-${serial++}`
  const json = JSON.stringify({ event_name: 'checkout', event_id: eventId, event_time: 1_700_000_000 })
  const events = [{ eventName: 'checkout', eventId, eventTimeS: 1_700_000_000 }]
  const { batch } = await store.commit({
    ...queue,
    payload: joinEvents([json]),
    events: events.map(postedAs),
    keys: dedupeKeys(queue, events),
    receivedAtMs: Date.now(),
  })
  return batch!.batchId
}

/** Statements that this process sends meanwhile. */
async function countOf(work: () => Promise<unknown>): Promise<number> {
  const prototype = pg.Client.prototype as unknown as { query: (...values: unknown[]) => unknown }
  const { query } = prototype
  let statements = 0
  prototype.query = function counted(...values) {
    statements += 1
    return Reflect.apply(query, this, values)
  }
  try {
    await work()
  } finally {
    prototype.query = query
  }
  return statements
}
