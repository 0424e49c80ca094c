/**
 * `npx node bench/beside.ts [rounds] [contender...]`: how long a post of one event takes alone, and beside eight clients that post
 * 1,000 events each for another account. The ceiling and the proxy show what is left for any server here, which shares its cores
 * with the clients and their stand-in for Pinterest (contenders/upstream.ts). The large posts come from a thread of their own, so that they do not hold up the small one's clock.
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { startChild } from './children.ts'
import { openStage, portOf, type Contender } from './contenders.ts'
import { shoot, type Load, type LoadResult } from './load.ts'
import { median } from './measure.ts'
import { createPosts, type PostKind } from './posts.ts'
import { renderTable } from './table.ts'

const SECONDS = 8
const CLIENTS = 8
const LARGE_POST = 1000
const HEADS = ['', 'alone p50 ms', 'p99', 'beside p50', 'p99', 'p99 to p99', 'large posts/s']

type Shooting = Omit<Load, 'posts'> & { readonly kind: PostKind; readonly eventsPerPost: number }

if (isMainThread) await compare(Number(process.argv[2] ?? 3), process.argv.slice(3))
else parentPort!.postMessage(await shootPosts(workerData as Shooting), [])

async function compare(rounds: number, names: readonly string[]): Promise<void> {
  const upstream = await startChild({ script: 'bench/contenders/upstream.ts', findPort: portOf })
  await using stage = await openStage(`http://127.0.0.1:${upstream.port}`)
  const contenders = stage.contenders.filter(({ name }) =>
    names.length > 0
      ? names.includes(name)
      : name.startsWith('relay') || name === 'ceiling' || name === 'proxy',
  )
  const measured = new Map(contenders.map(({ name }) => [name, [] as Measured[]]))
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      const one = await measure(contender, stage.adAccountIds)
      if (round > 0) measured.get(contender.name)!.push(one)
    }
  }
  const rows = Array.from(measured, ([name, all]) => {
    const of = (pick: (one: Measured) => number) => median(all.map(pick)).toFixed(1)
    const times = [of(({ alone }) => alone.p50Ms), of(({ alone }) => alone.p99Ms)]
    const besides = [of(({ beside }) => beside.p50Ms), of(({ beside }) => beside.p99Ms)]
    const ratio = of(({ alone, beside }) => beside.p99Ms / alone.p99Ms)
    return [name, ...times, ...besides, ratio, of(({ large }) => large.posts / large.seconds)]
  })
  process.stdout.write(renderTable(HEADS, rows))
  await upstream.stop()
}

interface Measured {
  readonly alone: LoadResult
  readonly beside: LoadResult
  readonly large: LoadResult
}

async function measure({ name, child, headers }: Contender, ids: readonly string[]): Promise<Measured> {
  const given = { port: child.port, seconds: SECONDS, headers }
  // The proxy hands on what the storefront has hashed.
  const kind = name.startsWith('relay') ? 'raw' : 'hashed'
  const small = { ...given, kind, connections: 1, eventsPerPost: 1, adAccountIds: [ids[0]!] } as const
  const alone = await shootPosts(small)
  const many: Shooting = {
    ...given,
    kind,
    connections: CLIENTS,
    eventsPerPost: LARGE_POST,
    adAccountIds: [ids[1]!],
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: many })
  const ended = once(worker, 'message')
  await once(worker, 'online')
  const beside = await shootPosts(small)
  const [large] = (await ended) as [LoadResult]
  return { alone, beside, large }
}

function shootPosts({ kind, eventsPerPost, ...load }: Shooting): Promise<LoadResult> {
  return shoot({ ...load, posts: createPosts(kind, eventsPerPost) })
}
