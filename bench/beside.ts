/**
 * `node bench/beside.ts [rounds]`: how long a post of one event takes alone, and beside eight clients that post 1,000 events
 * each for another account; answered once it is stored (async), and once Pinterest has answered (waiting).
 */
import { openStage, type Contender, type Stage } from './contenders.ts'
import { shoot } from './load.ts'
import { median } from './measure.ts'
import { createPosts } from './posts.ts'

const SECONDS = 8
const CLIENTS = 8
const rounds = Number(process.argv[2] ?? 3)

await using stage = await openStage()
for (const contender of stage.contenders.filter(({ name }) => name.startsWith('relay'))) {
  // The first round warms up.
  const alone = []
  const beside = []
  for (let round = 0; round <= rounds; round++) {
    alone.push(await post(stage, contender, 1, 1, 0))
    const [one, many] = await Promise.all([
      post(stage, contender, 1, 1, 0),
      post(stage, contender, CLIENTS, 1000, 1),
    ])
    beside.push({ ...one, largePerSecond: many.posts / many.seconds })
    await stage.sandbox.forgetEvents()
  }
  const of = (values: readonly number[]) => median(values.slice(1)).toFixed(1)
  process.stdout.write(
    `${contender.name}: alone p50 ${of(alone.map(({ p50Ms }) => p50Ms))} ms, p99 ${of(alone.map(({ p99Ms }) => p99Ms))} ms; ` +
      `beside p50 ${of(beside.map(({ p50Ms }) => p50Ms))} ms, p99 ${of(beside.map(({ p99Ms }) => p99Ms))} ms, ` +
      `${of(beside.map(({ largePerSecond }) => largePerSecond))} large posts/s\n`,
  )
}

function post(
  { adAccountIds }: Stage,
  { child, headers }: Contender,
  connections: number,
  eventsPerPost: number,
  account: number,
) {
  const posts = createPosts('raw', eventsPerPost)
  const ids = [adAccountIds[account]!]
  return shoot({ port: child.port, connections, seconds: SECONDS, posts, adAccountIds: ids, headers })
}
