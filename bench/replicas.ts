/**
 * `npm run bench -- --replicas`: one relay on SQLite, and one and two on a PostgreSQL, under the same posts in one run; then
 * what the database is asked for one post, one call and one lease while accounts and backlog grow.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { openFolder } from '../test/support/at-exit.ts'
import { startStoppablePostgres, type StoppablePostgres } from '../test/support/postgres.ts'
import type { Child } from './children.ts'
import { openRelay, startSandbox, type RelayChild } from './contenders.ts'
import { shoot } from './load.ts'
import { median } from './measure.ts'
import { createPosts } from './posts.ts'
import { countStatements, type StatementRow } from './statements.ts'
import { renderTable } from './table.ts'
import { watchWaits, type Waits } from './waits.ts'

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
  /** In a round of its own. */
  readonly waits?: Waits & { readonly posts: number }
}

type Measured = Omit<ReplicaRow, 'load' | 'contender' | 'waits'> & { readonly posts: number }

const CONNECTIONS = 100
/** Of each relay: V8 compiles a thread's code only after some ten thousand. */
const WARM_UP_POSTS = 12_000
const LOADS = [
  { name: '1 event per post', eventsPerPost: 1 },
  { name: '10 events per post', eventsPerPost: 10 },
  { name: '100 events per post', eventsPerPost: 100 },
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

interface Contender {
  readonly name: string
  readonly relays: readonly RelayChild[]
  /** Of its PostgreSQL. */
  readonly url?: string
}

/** Waiting for the outcome, as shipped. */
async function measureRates(
  server: StoppablePostgres,
  { rounds, seconds, report }: { rounds: number; seconds: number; report: (text: string) => void },
): Promise<ReplicaRow[]> {
  await using stack = new AsyncDisposableStack()
  const { path: folder, remove } = openFolder('bench')
  stack.defer(remove)
  const sandbox = stack.use(await startSandbox())
  const MASTER_KEY = randomBytes(32).toString('base64')
  const open = async (url: string) =>
    stack.use(await openRelay(sandbox.url, { MASTER_KEY, DATABASE_URL: url }))
  const [alone, shared] = [await server.createDatabase(), await server.createDatabase()]
  const contenders: readonly Contender[] = [
    { name: 'SQLite, one relay', relays: [await open(`sqlite:${join(folder, 'relay.db')}`)] },
    { name: 'PostgreSQL, one replica', relays: [await open(alone)], url: alone },
    { name: 'PostgreSQL, two replicas', relays: [await open(shared), await open(shared)], url: shared },
  ]
  // The second one registered the accounts once more, and has a key of its own: the first learns of it.
  await new Promise((resolve) => setTimeout(resolve, 2000))

  async function measure(
    { relays }: Contender,
    eventsPerPost: number,
    forSeconds: number,
  ): Promise<Measured> {
    const before = readCpu(relays, sandbox, server)
    const results = await Promise.all(
      relays.map(({ child, headers, adAccountIds }) =>
        shoot({
          port: child.port,
          connections: CONNECTIONS / relays.length,
          seconds: forSeconds,
          posts: createPosts('hashed', eventsPerPost),
          adAccountIds: adAccountIds.slice(0, 1),
          headers,
        }),
      ),
    )
    const after = readCpu(relays, sandbox, server)
    await sandbox.forgetEvents()
    const posts = results.reduce((sum, result) => sum + result.posts, 0)
    const perPost = (part: keyof typeof after) => (1e6 * (after[part] - before[part])) / posts
    return {
      posts,
      postsPerSecond: results.reduce((sum, result) => sum + result.posts / result.seconds, 0),
      relayUs: perPost('relayS'),
      databaseUs: perPost('databaseS'),
      sandboxUs: perPost('sandboxS'),
      generatorUs: perPost('generatorS'),
      p50Ms: Math.max(...results.map(({ p50Ms }) => p50Ms)),
      p99Ms: Math.max(...results.map(({ p99Ms }) => p99Ms)),
    }
  }

  for (const contender of contenders) {
    report(`${contender.name}, warm-up`)
    for (let posts = 0; posts < WARM_UP_POSTS * contender.relays.length;)
      posts += (await measure(contender, 1, 1)).posts
  }
  const rows: ReplicaRow[] = []
  for (const { name: load, eventsPerPost } of LOADS) {
    const measured = contenders.map(() => [] as Measured[])
    for (let round = -1; round < rounds; round++) {
      for (let turn = 0; turn < contenders.length; turn++) {
        const index = (turn + Math.max(round, 0)) % contenders.length
        const contender = contenders[index]!
        report(`${load}, ${contender.name}, ${round < 0 ? 'warm-up' : `round ${round + 1}`}`)
        const found = await measure(contender, eventsPerPost, round < 0 ? 2 : seconds)
        if (round >= 0) measured[index]!.push(found)
      }
    }
    for (const [index, contender] of contenders.entries()) {
      const fields = Object.keys(measured[index]![0]!) as (keyof Measured)[]
      const medians = fields.map((field) => [field, median(measured[index]!.map((round) => round[field]))])
      const row = { load, contender: contender.name, ...(Object.fromEntries(medians) as Measured) }
      if (contender.url === undefined) {
        rows.push(row)
        continue
      }
      // Apart, since it costs some CPU.
      report(`${load}, ${contender.name}, what it waits for`)
      const end = await watchWaits(contender.url)
      const { posts } = await measure(contender, eventsPerPost, seconds)
      rows.push({ ...row, waits: { ...(await end()), posts } })
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
  const watched = rates.flatMap(({ waits, ...row }) => (waits === undefined ? [] : [{ ...row, waits }]))
  const waitRows = watched.map(({ load, contender, waits }) => [
    load,
    contender,
    (waits.transactions / waits.posts).toFixed(3),
    ...Object.values(waits.shares).map((share) => `${(100 * share).toFixed(1)} %`),
  ])
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
    '### What connections that write posts do',
    '',
    renderTable(
      ['load', 'contender', 'transactions per post', ...Object.keys(watched[0]!.waits.shares)],
      waitRows,
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
