/**
 * `npm run bench -- --replicas`: one relay on SQLite, and one and two on a PostgreSQL, under the same posts in one run; then
 * what the database is asked for one post, one call and one lease while accounts and backlog grow.
 */
import { dedupeKeys } from '../src/store/core/sealed.ts'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { openPostgres } from '../test/support/stores.ts'
import type { QueueKey, Store } from '../src/store/store.ts'
import {
  startStoppablePostgres,
  type PostgresServer,
  type StoppablePostgres,
} from '../test/support/postgres.ts'
import type { Child } from './children.ts'
import { openRelay, startSandbox, type RelayChild } from './contenders.ts'
import { shoot } from './load.ts'
import { median } from './measure.ts'
import { createPosts } from './posts.ts'
import { renderTable } from './table.ts'
import { joinEvents, postedAs } from '../test/support/payload.ts'

export interface ReplicaRow {
  readonly load: string
  readonly contender: string
  readonly postsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU per post: of the relays, of PostgreSQL, of the sandbox and of this process. */
  readonly relayUs: number
  readonly databaseUs: number
  readonly sandboxUs: number
  readonly generatorUs: number
}

type Measured = Omit<ReplicaRow, 'load' | 'contender'>

export interface StatementRow {
  readonly accounts: number
  readonly waitingBatches: number
  readonly perCommit: number
  readonly perAcknowledge: number
  readonly perLease: number
  readonly leaseMs: number
}

const CONNECTIONS = 100
const LOADS = [
  { name: '1 event per post', eventsPerPost: 1 },
  { name: '10 events per post', eventsPerPost: 10 },
]
const GROWTH = [
  { accounts: 1, waitingBatches: 0 },
  { accounts: 100, waitingBatches: 10_000 },
  { accounts: 1000, waitingBatches: 100_000 },
  { accounts: 10_000, waitingBatches: 1_000_000 },
]

export async function compareReplicas(options: {
  readonly rounds: number
  readonly seconds: number
  readonly report: (text: string) => void
}): Promise<{ readonly rates: readonly ReplicaRow[]; readonly statements: readonly StatementRow[] }> {
  const server = await startStoppablePostgres({ isOnDisk: true })
  try {
    const rates = await measureRates(server, options)
    options.report('statements as accounts and backlog grow')
    return { rates, statements: await countStatements(server) }
  } finally {
    await server.close()
  }
}

/** Waiting for the outcome, as shipped. */
async function measureRates(
  server: StoppablePostgres,
  { rounds, seconds, report }: { rounds: number; seconds: number; report: (text: string) => void },
): Promise<ReplicaRow[]> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-bench-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const sandbox = stack.use(await startSandbox())
  const shared = {
    MASTER_KEY: randomBytes(32).toString('base64'),
    DATABASE_URL: await server.createDatabase(),
  }
  const alone = { ...shared, DATABASE_URL: await server.createDatabase() }
  const open = async (environment: Readonly<Record<string, string>>) =>
    stack.use(await openRelay(sandbox.url, environment))
  const contenders: { readonly name: string; readonly relays: readonly RelayChild[] }[] = [
    {
      name: 'SQLite, one relay',
      relays: [await open({ DATABASE_URL: `sqlite:${join(folder, 'relay.db')}` })],
    },
    { name: 'PostgreSQL, one replica', relays: [await open(alone)] },
    { name: 'PostgreSQL, two replicas', relays: [await open(shared), await open(shared)] },
  ]
  // The second one registered the accounts once more, and has a key of its own: the first learns of it.
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const rows: ReplicaRow[] = []
  for (const { name: load, eventsPerPost } of LOADS) {
    const measured = contenders.map(() => [] as Measured[])
    for (let round = -1; round < rounds; round++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const index = (turn + Math.max(round, 0)) % contenders.length
        const { name, relays } = contenders[index]!
        report(`${load}, ${name}, ${round < 0 ? 'warm-up' : `round ${round + 1}`}`)
        const cpuBefore = readCpu(relays, sandbox, server)
        const results = await Promise.all(
          relays.map(({ child, headers, adAccountIds }) =>
            shoot({
              port: child.port,
              connections: CONNECTIONS / relays.length,
              seconds: round < 0 ? 2 : seconds,
              posts: createPosts('hashed', eventsPerPost),
              adAccountIds: adAccountIds.slice(0, 1),
              headers,
            }),
          ),
        )
        const cpu = readCpu(relays, sandbox, server)
        await sandbox.forgetEvents()
        if (round < 0) continue
        const posts = results.reduce((sum, result) => sum + result.posts, 0)
        const perPost = (part: keyof typeof cpu) => (1e6 * (cpu[part] - cpuBefore[part])) / posts
        measured[index]!.push({
          postsPerSecond: results.reduce((sum, result) => sum + result.posts / result.seconds, 0),
          relayUs: perPost('relayS'),
          databaseUs: perPost('databaseS'),
          sandboxUs: perPost('sandboxS'),
          generatorUs: perPost('generatorS'),
          p50Ms: Math.max(...results.map(({ p50Ms }) => p50Ms)),
          p99Ms: Math.max(...results.map(({ p99Ms }) => p99Ms)),
        })
      }
    }
    for (const [index, { name }] of contenders.entries()) {
      const of = (field: keyof Measured) => median(measured[index]!.map((round) => round[field]))
      rows.push({
        load,
        contender: name,
        postsPerSecond: of('postsPerSecond'),
        p50Ms: of('p50Ms'),
        p99Ms: of('p99Ms'),
        relayUs: of('relayUs'),
        databaseUs: of('databaseUs'),
        sandboxUs: of('sandboxUs'),
        generatorUs: of('generatorUs'),
      })
    }
  }
  return rows
}

/** In seconds, since each began. */
function readCpu(
  relays: readonly RelayChild[],
  sandbox: { readonly child: Child },
  server: StoppablePostgres,
) {
  const { user, system } = process.cpuUsage()
  return {
    relayS: relays.reduce((sum, { child }) => sum + child.cpuSeconds(), 0),
    databaseS: server.cpuSeconds(),
    sandboxS: sandbox.child.cpuSeconds(),
    generatorS: (user + system) / 1e6,
  }
}

async function countStatements(server: PostgresServer): Promise<StatementRow[]> {
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
      await vaultStore.changeVault(() => ({ put: documents, remove: [] }))
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

export function renderReplicas(rates: readonly ReplicaRow[], statements: readonly StatementRow[]): string {
  const rateRows = rates.map((row) => {
    const { load, contender, postsPerSecond, p50Ms, p99Ms } = row
    const one = rates.find((other) => other.load === load && other.contender === 'PostgreSQL, one replica')!
    return [
      load,
      contender,
      String(Math.round(postsPerSecond)),
      (postsPerSecond / one.postsPerSecond).toFixed(2),
      `${p50Ms.toFixed(1)} / ${p99Ms.toFixed(1)}`,
      [row.relayUs, row.databaseUs, row.sandboxUs, row.generatorUs].map((us) => Math.round(us)).join(' + '),
    ]
  })
  const statementRows = statements.map((row) => [
    row.accounts.toLocaleString('en-US'),
    row.waitingBatches.toLocaleString('en-US'),
    String(row.perCommit),
    String(row.perAcknowledge),
    String(row.perLease),
    row.leaseMs.toFixed(1),
  ])
  return [
    '### Replicas',
    '',
    renderTable(
      [
        'load',
        'contender',
        'posts/s',
        'x one replica',
        'p50 / p99 ms',
        'CPU µs per post: relay + database + sandbox + generator',
      ],
      rateRows,
    ),
    '',
    '### Statements',
    '',
    renderTable(
      ['accounts', 'batches waiting', 'per commit', 'per acknowledgement', 'per lease', 'one lease, ms'],
      statementRows,
    ),
  ].join('\n')
}
