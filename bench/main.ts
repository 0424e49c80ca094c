/**
 * `npm run bench`: the relay as shipped (durable store, keys, door, guard, waiting for the verdict) against what one
 * would use instead, on the same posts, the same sandbox and the same machine, in interleaved rounds of one run. Prints
 * medians, spread and ratios: a rate without its rival says nothing.
 *
 *   BENCH_SECONDS (5)   one round of one contender
 *   BENCH_ROUNDS (5)
 *
 * The proxy's calls are refused by the sandbox event by event (422), since a proxy cannot hash; that costs both the same.
 */
import autocannon from 'autocannon'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild, type Child } from './children.ts'
import { makePost } from './posts.ts'

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5)
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const ACCOUNT = '549755885175'
const ADMIN_TOKEN = 'bench-admin-token'
const CONNECTIONS = [100, 1]

interface Contender {
  readonly name: string
  readonly child: Child
  readonly authorization: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Round {
  readonly postsPerSecond: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly cpuSecondsPer1000: number
  readonly failed: number
}

const folder = await mkdtemp(join(tmpdir(), 'pinrelay-bench-'))
const sandbox = await startChild(
  'src/sandbox/main.ts',
  { SANDBOX_PORT: '0', SANDBOX_CALLS_PER_MINUTE: '0', SANDBOX_JOURNAL_CALLS: '0' },
  (line) => portIn(line, /PINTEREST_API_URL=http:\/\/[^:]+:(\d+)/),
)
const sandboxUrl = `http://127.0.0.1:${sandbox.port}`
const children = [sandbox]
const contenders = await startContenders()
const report: Record<string, Record<string, Round[]>> = {}

for (const connections of CONNECTIONS) {
  const rounds: Record<string, Round[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]))
  for (const contender of contenders) await shoot(contender, connections, 2)
  for (let round = 0; round < ROUNDS; round++) {
    for (const contender of contenders) {
      rounds[contender.name]!.push(await shoot(contender, connections, SECONDS))
    }
  }
  print(connections, rounds)
  report[`${connections} connections`] = rounds
}
const memory = Object.fromEntries(contenders.map(({ name, child }) => [name, child.peakMebibytes()]))
process.stdout.write(`\npeak memory, MiB: ${JSON.stringify(memory)}\n`)
mkdirSync(new URL('./results', import.meta.url), { recursive: true })
const file = new URL('./results/latest.json', import.meta.url)
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version }
writeFileSync(file, JSON.stringify({ machine, seconds: SECONDS, rounds: ROUNDS, report, memory }, null, 2))
for (const child of children.reverse()) await child.stop()
await rm(folder, { recursive: true })

async function startContenders(): Promise<Contender[]> {
  const byJson = (line: string) => (JSON.parse(line) as { port: number }).port
  const ceiling = await startChild('bench/contenders/ceiling.ts', {}, byJson)
  const proxy = await startChild('bench/contenders/proxy.ts', { UPSTREAM: sandboxUrl }, byJson)
  const ports: number[] = []
  const relay = await startChild(
    'src/main.ts',
    {
      PORT: '0',
      ADMIN_PORT: '0',
      ADMIN_TOKEN,
      DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
      PINTEREST_API_URL: `${sandboxUrl}/v5`,
      POSTS_PER_MINUTE: '0',
      CALLS_PER_MINUTE: '1000000',
      CALL_BURST: '10000',
      MALLOC_ARENA_MAX: '1',
    },
    (line) => {
      const { port, phrase } = JSON.parse(line) as { port: number; phrase: string }
      ports.push(port)
      return phrase === 'admin port open' ? ports[0] : undefined
    },
    // As the image starts it.
    ['--max-semi-space-size=8'],
  )
  children.push(ceiling, proxy, relay)
  const relayKey = await register(ports[1]!)
  const token = 'Bearer pina_bench_token'
  return [
    { name: 'ceiling', child: ceiling, authorization: token },
    { name: 'proxy', child: proxy, authorization: token },
    { name: 'relay', child: relay, authorization: `Bearer ${relayKey}` },
    {
      name: 'relay, async',
      child: relay,
      authorization: `Bearer ${relayKey}`,
      headers: { prefer: 'respond-async' },
    },
  ]
}

async function register(adminPort: number): Promise<string> {
  const ask = async (method: string, path: string, body: object) => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' }
    const url = `http://127.0.0.1:${adminPort}${path}`
    const response = await fetch(url, { method, headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${method} ${path} got ${response.status}`)
    return (await response.json()) as Record<string, string>
  }
  await ask('PUT', `/accounts/${ACCOUNT}`, { access_token: 'pina_bench_token', country: 'US' })
  return (await ask('POST', '/keys', { label: 'bench', ad_account_ids: [ACCOUNT] }))['key']!
}

async function shoot(contender: Contender, connections: number, seconds: number): Promise<Round> {
  const cpuBefore = contender.child.cpuSeconds()
  const result = await autocannon({
    url: `http://127.0.0.1:${contender.child.port}`,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        path: `/v5/ad_accounts/${ACCOUNT}/events`,
        headers: {
          'content-type': 'application/json',
          authorization: contender.authorization,
          ...contender.headers,
        },
        setupRequest: (request) => ({ ...request, body: makePost(1) }),
      },
    ],
  })
  const posts = result.requests.total
  return {
    postsPerSecond: posts / result.duration,
    medianMs: result.latency.p50,
    p99Ms: result.latency.p99,
    cpuSecondsPer1000: ((contender.child.cpuSeconds() - cpuBefore) / posts) * 1000,
    // 422 is the proxy's normal answer here, see above.
    failed: result.errors + result.timeouts + result['5xx'],
  }
}

function print(connections: number, rounds: Record<string, Round[]>): void {
  process.stdout.write(`\nsingle-event posts, ${connections} connections\n`)
  const rival = median(rounds['proxy']!.map(({ postsPerSecond }) => postsPerSecond))
  for (const [name, own] of Object.entries(rounds)) {
    const rates = own.map(({ postsPerSecond }) => postsPerSecond)
    const cells = [
      name.padEnd(14),
      `${Math.round(median(rates))} posts/s`.padStart(14),
      `(${Math.round(Math.min(...rates))} to ${Math.round(Math.max(...rates))})`.padEnd(18),
      `${(median(rates) / rival).toFixed(2)} x proxy`,
      `p50 ${median(own.map(({ medianMs }) => medianMs))} ms`,
      `p99 ${median(own.map(({ p99Ms }) => p99Ms))} ms`,
      `cpu ${median(own.map(({ cpuSecondsPer1000 }) => cpuSecondsPer1000)).toFixed(2)} s per 1,000 posts`,
      `failed ${own.reduce((sum, { failed }) => sum + failed, 0)}`,
    ]
    process.stdout.write(`${cells.join('  ')}\n`)
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function portIn(line: string, pattern: RegExp): number | undefined {
  const port = pattern.exec(line)?.[1]
  return port === undefined ? undefined : Number(port)
}
